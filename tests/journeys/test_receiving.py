"""Receiving over real DICOM associations: nothing acknowledged is lost, nothing is kept half, nobody is named."""

import asyncio
import os
import socket
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from appliance.records import events, identities, studies
from appliance.states import StudyState
from tests.matrix import tried
from tests.phantoms import PhantomStudy
from tests.receiving import (
    Receiver,
    Section,
    all_stable,
    bytes_below,
    echoes,
    filed,
    inbox_empty,
    kept,
    only_study,
    opened,
    told,
    until_async,
)
from tests.senders import Sender, Sent, accepted, dataset_bytes, digest, in_background, send
from tests.servers import HOST, program, until

MR = "1.2.840.10008.5.1.4.1.1.4"
CT = "1.2.840.10008.5.1.4.1.1.2"


def storescu(port: int, *arguments: str | Path, calling: str = "MODALITY") -> "subprocess.CompletedProcess[str]":
    """Debian's storescu."""
    return subprocess.run(
        [program("storescu", "dcmtk"), "-aet", calling, "-aec", "RANVIER_SCP", "-R", HOST, str(port), *map(str, arguments)],
        env={**os.environ, "TCP_NODELAY": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )


def changed(path: Path, target: Path, change: Callable[[Dataset], None]) -> Path:
    """A copy of a file with other attributes."""
    dataset = pydicom.dcmread(path)
    change(dataset)
    target.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(target, enforce_file_format=True)
    return target


async def test_a_study_of_storescu_is_on_disk_bit_by_bit_stable_and_names_nobody(
    receiver: Receiver, phantom: PhantomStudy
) -> None:
    """REC-01, REC-04, REC-06: a stock sender's study is kept as sent and settles; no row, log or path holds the patient."""
    answer = storescu(receiver.port, "+sd", phantom.folder)
    assert answer.returncode == 0, answer.stderr

    async with opened(receiver.home) as house:
        await until_async(lambda: all_stable(house), "the study is stable")
        assert await kept(house) == Counter(digest(dataset_bytes(path)) for path in phantom.files)
        study = await only_study(house)
        assert (study.version, study.instances, study.series, study.conflicts) == (1, len(phantom.files), 1, 0)
        assert study.sender == "MODALITY"
        told = [row.event for row in await events.after(0)]
        assert sum(one.count for one in told if one.name() == "instances-arrived") == len(phantom.files)  # type: ignore[attr-defined]
        assert len(told) < len(phantom.files)
        assert [one.name() for one in told][-1] == "study-stable"
        identity = await identities.get(house.keys, study.id)
        assert identity is not None
        assert (identity.patient_name, identity.patient_id) == (phantom.patient.name, phantom.patient.patient_id)
        assert list((house.storage.root / "journals").rglob("*.dcm")) == []
    receiver.stop()

    for path, content in bytes_below(receiver.home):
        for token in [*phantom.identity_tokens, *phantom.uids]:
            assert token.encode() not in content, f"{token} in {path.name}"
    for path in receiver.home.rglob("*"):
        assert not any(token in str(path) for token in [*phantom.identity_tokens, *phantom.uids])


def test_echo_is_answered(receiver: Receiver) -> None:
    """REC-01: C-ECHO."""
    assert echoes(receiver.port)


async def test_an_identical_resend_succeeds_and_is_stored_once(receiver: Receiver, phantom: PhantomStudy) -> None:
    """REC-05, REC-06: sending the same again changes nothing at all, not even of a study that is stable."""
    instances = [Sent.of(path) for path in phantom.files[:8]]
    assert send(receiver.port, instances) == [0] * 8
    async with opened(receiver.home) as house:
        await until_async(lambda: all_stable(house), "the study is stable")
        before, told = await only_study(house), await events.newest_seq()
        assert send(receiver.port, instances, calling="PACS") == [0] * 8
        await until_async(lambda: inbox_empty(house), "the resend is filed")
        assert await only_study(house) == before
        assert sum((await kept(house)).values()) == 8
        assert await events.newest_seq() == told
    tried(
        "the same instances again",
        injected="a stable study sent again by another device",
        happened="0x0000 for each, stored once; neither study, version nor events change, so that nothing runs again",
    )


async def test_the_same_uid_with_other_bytes_is_kept_beside_the_first(
    receiver: Receiver, phantom: PhantomStudy, tmp_path: Path
) -> None:
    """REC-05: a conflict is answered with success, both contents stay, and it is told."""
    first = Sent.of(phantom.files[0])
    other = Sent.of(changed(phantom.files[0], tmp_path / "other.dcm", lambda ds: setattr(ds, "ImageComments", "edited")))
    assert (first.sop_instance, send(receiver.port, [first, other, other])) == (other.sop_instance, [0, 0, 0])

    async with opened(receiver.home) as house:
        await until_async(lambda: all_stable(house), "the study is stable")
        assert await kept(house) == Counter({digest(first.data): 1, digest(other.data): 1})
        study = await only_study(house)
        rows = await studies.instances(study.id, study.version)
        assert [row.conflict for row in rows] == [False, True]
        assert (study.instances, study.conflicts) == (1, 1)
        conflicts = [row.event for row in await events.after(0) if row.name == "instance-conflict"]
        assert [one.count for one in conflicts] == [1]  # type: ignore[attr-defined]
    tried(
        "one SOP Instance UID with other content",
        injected="an instance edited under its UID, sent twice",
        happened="0x0000; both contents are kept, the conflict is counted, shown and told; a setting puts the study aside",
    )


async def test_one_study_uid_of_two_patients_is_quarantined(receiver: Receiver, phantom: PhantomStudy, tmp_path: Path) -> None:
    """REC-04, faults row 14: nothing of it is processed until a person has looked, and nothing is lost."""

    def another_person(dataset: Dataset) -> None:
        dataset.PatientID, dataset.PatientName = "MRN-0000001", "Andere^Person"

    own = Sent.of(phantom.files[0])
    foreign = Sent.of(changed(phantom.files[1], tmp_path / "foreign.dcm", another_person))
    assert send(receiver.port, [own, foreign]) == [0, 0]

    async with opened(receiver.home) as house:
        await until_async(lambda: all_stable(house), "the study is settled")
        study = await only_study(house)
        assert (study.state, study.reason) == (StudyState.QUARANTINED, "two-patients")
        assert sum((await kept(house)).values()) == 2
        sentence = next(row.event for row in await events.after(0) if row.name == "study-quarantined")
        assert "two patients" in sentence.text()
    receiver.stop()
    assert all(b"Andere" not in content and b"MRN-0000001" not in content for _, content in bytes_below(receiver.home))
    tried(
        "one Study Instance UID of two patients",
        injected="an instance of another person under the study's UID",
        happened="0x0000; the study is quarantined with its reason until a person has looked; all is kept",
    )


async def test_late_instances_make_a_second_version(receiver: Receiver, phantom: PhantomStudy) -> None:
    """REC-06: what comes after the study was stable is visibly version 2, and version 1 stays what it was."""
    instances = [Sent.of(path) for path in phantom.files[:6]]
    assert send(receiver.port, instances[:4]) == [0] * 4
    async with opened(receiver.home) as house:
        await until_async(lambda: all_stable(house), "the study is stable")
        assert send(receiver.port, instances) == [0] * 6

        async def second_version() -> bool:
            study = await only_study(house)
            return study.version == 2 and study.state is StudyState.STABLE

        await until_async(second_version, "version 2 is stable")
        study = await only_study(house)
        assert len(await studies.instances(study.id, 1)) == 4
        assert len(await studies.instances(study.id, 2)) == 6
        names = [row.name for row in await events.after(0)]
        assert names.count("study-reopened") == 1
        assert names.count("study-stable") == 2


async def test_a_study_is_not_stable_while_its_association_is_open(receiver: Receiver, phantom: PhantomStudy) -> None:
    """REC-06: far longer than the quiet time nothing comes, and the study waits for the association to end."""
    first = Sent.of(phantom.files[0])
    async with opened(receiver.home) as house:
        with Sender(receiver.port, [(first.sop_class, first.transfer_syntax)]) as sender:
            assert sender.store(first) == 0
            await filed(house, 1)
            (activity,) = await studies.activities()
            assert (activity.kind, activity.sender) == ("association", "MODALITY")
            with pytest.raises(TimeoutError):
                await until_async(lambda: all_stable(house), "too early", seconds=4 * receiver.section.quiet_seconds)
        await until_async(lambda: all_stable(house), "the study is stable")
        assert await studies.activities() == []


def test_a_caller_that_is_not_on_the_list_is_told_so(tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-02: A-ASSOCIATE-RJ (permanent, service user, calling AE not recognised) and an event that says why."""
    instance = Sent.of(phantom.files[0])
    with Receiver(tmp_path / "home", Section(allowed_callers=("MRI1", "MRI2"))) as receiver:
        refused = Sender(receiver.port, [(MR, ExplicitVRLittleEndian)], calling="STRANGER")
        assert not refused.established
        assert refused.rejection == (1, 1, 3)
        assert send(receiver.port, [instance], calling="MRI2") == [0]

        async def check() -> None:
            async with opened(receiver.home):
                await until_async(lambda: told("association-refused"), "the refusal is told")
                (event,) = [row.event for row in await events.after(0) if row.name == "association-refused"]
                reason = "its calling AE title is not on the list of allowed callers"
                advice = "add it to the allowed calling AE titles if it is one of your devices"
                assert event.text() == f"Association of STRANGER from 127.0.0.1 refused: {reason}; {advice}."

        asyncio.run(check())
        receiver.configure(Section(allowed_callers=("STRANGER",)))
        until(lambda: accepted(receiver.port, MR, calling="STRANGER"), "new settings act")


def test_too_many_associations_are_turned_away_for_now(tmp_path: Path) -> None:
    """Faults row 10: the answer is transient, so that the sender tries again, and it can once there is room."""
    with Receiver(tmp_path / "home", Section(maximum_associations=2)) as receiver:
        contexts = [(MR, str(ExplicitVRLittleEndian))]
        with Sender(receiver.port, contexts) as one, Sender(receiver.port, contexts) as two:
            assert one.established and two.established
            third = Sender(receiver.port, contexts)
            assert third.rejection == (2, 3, 2)
        until(lambda: accepted(receiver.port, MR), "there is room again")


async def test_an_abort_in_mid_association_keeps_what_was_acknowledged(receiver: Receiver, phantom: PhantomStudy) -> None:
    """REC-08, faults row 7: storescu --abort after its files; all of them stay and the study settles."""
    storescu(receiver.port, "--abort", *phantom.files[:5])
    async with opened(receiver.home) as house:
        await until_async(lambda: all_stable(house), "the study is stable")
        assert await kept(house) == Counter(digest(dataset_bytes(path)) for path in phantom.files[:5])


async def test_asked_to_end_it_finishes_what_is_open(receiver: Receiver, phantom: PhantomStudy) -> None:
    """REC-08: after SIGTERM nobody new is accepted, the open association goes on, and everything is filed at the end."""
    instances = [Sent.of(path) for path in phantom.files[:6]]
    with Sender(receiver.port, [(MR, instances[0].transfer_syntax)]) as sender:
        assert [sender.store(one) for one in instances[:3]] == [0] * 3
        stopping = in_background(receiver.stop)
        until(lambda: not _accepts(receiver.port), "nobody new is accepted")
        assert [sender.store(one) for one in instances[3:]] == [0] * 3
    await asyncio.to_thread(stopping.join, 30)
    async with opened(receiver.home) as house:
        assert await kept(house) == Counter(digest(one.data) for one in instances)
        assert await inbox_empty(house)
        assert await studies.activities() == []


def _accepts(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True
