"""A house on a temporary folder, and arrivals without a network."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance.keys import Keys
from appliance.moments import new_id
from appliance.receive.header import EXPLICIT_LITTLE, read_header
from appliance.receive.inbox import Arrival, Inbox, content_hash
from appliance.receive.part10 import Origin
from appliance.records.engine import Records
from appliance.storage import Storage
from tests.unit.receive.test_header import a_dataset, encoded


class Bench:
    """The parts that filing needs, and a maker of arrivals."""

    def __init__(self, home: Path, records: Records) -> None:
        self.storage = Storage(home)
        self.storage.prepare()
        self.keys = Keys(b"k" * 32)
        self.records = records
        self.inbox = Inbox(self.storage)
        self.at = 1_800_000_000_000

    def arrival(
        self,
        sop: str,
        *,
        study: str = "1.2.3",
        series: str = "1.2.3.1",
        patient: str = "007",
        comment: str = "",
        association: str = "",
    ) -> Arrival:
        """One instance, kept in the inbox as the listener keeps it."""
        self.at += 1
        dataset = a_dataset()
        dataset.SOPInstanceUID, dataset.StudyInstanceUID, dataset.SeriesInstanceUID = sop, study, series
        dataset.PatientID, dataset.PatientComments = patient, comment
        data = encoded(dataset, EXPLICIT_LITTLE)
        origin = Origin(
            sop_class=str(dataset.SOPClassUID),
            sop_instance=sop,
            transfer_syntax=EXPLICIT_LITTLE,
            sender="MODALITY",
            address="192.0.2.1",
        )
        instance = new_id(self.at)
        return Arrival(
            id=instance,
            path=self.inbox.keep(origin, data, instance),
            origin=origin,
            header=read_header(data, EXPLICIT_LITTLE),
            content_hash=content_hash(data),
            bytes=len(data),
            received_at=self.at,
            association=association,
        )


@pytest.fixture
async def bench(tmp_path: Path, migrated_url: str) -> AsyncIterator[Bench]:
    """On SQLite and on PostgreSQL."""
    async with Records(migrated_url) as records:
        yield Bench(tmp_path / "home", records)
