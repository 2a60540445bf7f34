"""What a batch of arrivals does to one study, gathered before anything is written."""

from pathlib import Path
from typing import Final

import msgspec

from appliance.events import Event, InstanceConflict, InstancesArrived, StudyQuarantined, StudyReopened
from appliance.moments import new_id
from appliance.receive import header as tags
from appliance.receive.header import Header
from appliance.receive.inbox import Arrival
from appliance.receive.subject import identity_of, safe_label
from appliance.records.studies import InstanceRow, SeriesRow, StudyRow
from appliance.states import StudyState, check_study_move
from appliance.storage import Storage

TWO_PATIENTS: Final = "two-patients"
FILES_MISSING: Final = "files-missing"
CONFLICTING: Final = "conflicting-instances"
QUARANTINE_SENTENCES: Final = {
    TWO_PATIENTS: "instances of two patients came under one Study Instance UID",
    FILES_MISSING: "files of it are missing from storage",
    CONFLICTING: "instances of it came again with other content",
}
"""What `studies.reason` means, in words."""


def readable(arrival: Arrival) -> Header:
    """The header of an arrival that `reason_against` let through."""
    if arrival.header is None:
        raise ValueError("only readable instances are filed")
    return arrival.header


class Sheet:
    """What a batch does to one study, gathered before anything is written."""

    def __init__(self, study: StudyRow, series: dict[str, SeriesRow]) -> None:
        self.study = study
        self.series = series
        self.changed_series: set[str] = set()
        self.new: list[tuple[Arrival, SeriesRow, str, bool]] = []
        self.identical = 0
        self.conflicts = 0
        self.two_patients = False
        self.set_conflicts_aside = False

    @property
    def version(self) -> int:
        """The version that new instances belong to: late ones begin the next."""
        return self.study.version + (self.study.state is StudyState.STABLE)

    def series_of(self, uid_key: str, arrival: Arrival) -> SeriesRow:
        """The series of an arrival, entered if it is new."""
        row = self.series.get(uid_key)
        if row is None:
            header = readable(arrival)
            row = self.series[uid_key] = SeriesRow(
                id=new_id(arrival.received_at),
                study=self.study.id,
                uid_key=uid_key,
                number=header.number(tags.SERIES_NUMBER),
                modality=header.text(tags.MODALITY)[:16],
                label=safe_label(header.text(tags.SERIES_DESCRIPTION), identity_of(header)),
                sop_class=arrival.origin.sop_class or header.uid(tags.SOP_CLASS),
                transfer_syntax=arrival.origin.transfer_syntax,
                instances=0,
            )
        return row

    def enter(self, arrival: Arrival, series: SeriesRow, sop_key: str, *, conflict: bool) -> None:
        """Adds one instance with new content."""
        self.new.append((arrival, series, sop_key, conflict))
        self.changed_series.add(series.id)
        if not conflict:
            self.series[series.uid_key] = msgspec.structs.replace(
                self.series[series.uid_key], instances=self.series[series.uid_key].instances + 1
            )

    @property
    def is_new(self) -> bool:
        """Whether these are the first instances of the study."""
        return self.study.instances == 0

    def news(self) -> tuple[str, list[Arrival]]:
        """The study and its new arrivals, in the order they came."""
        return self.study.id, [arrival for arrival, *_ in self.new]

    def files(self, storage: Storage) -> list[tuple[Arrival, Path]]:
        """Every new arrival and where its file belongs."""
        folder = storage.original(self.study.id, self.version)
        return [(arrival, folder / f"{arrival.id}.dcm") for arrival, *_ in self.new]

    def rows(self, storage: Storage) -> list[InstanceRow]:
        """The rows of the new instances."""
        folder = storage.relative(storage.original(self.study.id, self.version))
        return [
            InstanceRow(
                id=arrival.id,
                study=self.study.id,
                series=series.id,
                version=self.version,
                sop_key=sop_key,
                sop_class=arrival.origin.sop_class or readable(arrival).uid(tags.SOP_CLASS),
                transfer_syntax=arrival.origin.transfer_syntax,
                content_hash=arrival.content_hash,
                bytes=arrival.bytes,
                path=f"{folder}/{arrival.id}.dcm",
                conflict=conflict,
                sender=arrival.origin.sender,
                received_at=arrival.received_at,
            )
            for arrival, series, sop_key, conflict in self.new
        ]

    def result(self) -> StudyRow:
        """The study with what this batch brought."""
        old = self.study
        state, reason = old.state, old.reason
        if self.two_patients and state is not StudyState.QUARANTINED:
            state, reason = StudyState.QUARANTINED, TWO_PATIENTS
        elif self.set_conflicts_aside and state is not StudyState.QUARANTINED:
            state, reason = StudyState.QUARANTINED, CONFLICTING
        elif state is StudyState.STABLE:
            state = StudyState.RECEIVING
        if state is not old.state:
            check_study_move(old.state, state)
        return msgspec.structs.replace(
            old,
            version=self.version,
            state=state,
            reason=reason,
            stable_at=None if state is StudyState.RECEIVING else old.stable_at,
            instances=old.instances + sum(not conflict for *_, conflict in self.new),
            series=len(self.series),
            bytes=old.bytes + sum(arrival.bytes for arrival, *_ in self.new),
            conflicts=old.conflicts + self.conflicts,
            last_at=max(old.last_at, *(arrival.received_at for arrival, *_ in self.new)),
        )

    def events(self) -> list[Event]:
        """What is told about it: one event a sender, not one an instance."""
        study, result = self.study.id, self.result()
        told: list[Event] = []
        if self.version > self.study.version:
            told.append(StudyReopened(study=study, version=self.version))
        senders = [arrival.origin.sender for arrival, *_ in self.new]
        told += [InstancesArrived(study=study, count=senders.count(sender), sender=sender) for sender in dict.fromkeys(senders)]
        if self.conflicts:
            told.append(InstanceConflict(study=study, count=self.conflicts))
        if result.state is not self.study.state and result.state is StudyState.QUARANTINED:
            told.append(StudyQuarantined(study=study, reason=QUARANTINE_SENTENCES[result.reason]))
        return told
