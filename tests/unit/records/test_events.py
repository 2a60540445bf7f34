"""Event rows: appended once, read on from a sequence number."""

from typing import Any

import msgspec
import pytest

from appliance.events import Event, OrderMoved, StudyStable, catalogue
from appliance.records import events
from appliance.records.engine import Records
from appliance.records.tables import EventRow

STUDY, ORDER = "0190-study", "0190-order"


async def test_events_are_read_on_from_a_sequence_number(records: Records) -> None:
    first = await events.append(StudyStable(study=STUDY, version=1, instances=42), now=1000)
    second = await events.append(OrderMoved(study=STUDY, order=ORDER, old="QC", new="QUEUED"), now=2000)
    assert second > first
    stored = await events.after(first)
    assert [(one.seq, one.at, one.name) for one in stored] == [(second, 2000, "order-moved")]
    assert stored[0].event == OrderMoved(study=STUDY, order=ORDER, old="QC", new="QUEUED")
    assert await events.newest_seq() == second


async def test_an_empty_table_starts_at_zero(records: Records) -> None:
    assert await events.newest_seq() == 0
    assert await events.after(0) == []


async def test_events_are_read_for_one_study_or_one_order(records: Records) -> None:
    await events.append(StudyStable(study="other", version=1, instances=1), now=1)
    await events.append(StudyStable(study=STUDY, version=1, instances=1), now=2)
    await events.append(OrderMoved(study=STUDY, order=ORDER, old="QC", new="QUEUED"), now=3)
    assert [one.at for one in await events.after(0, study=STUDY)] == [2, 3]
    assert [one.at for one in await events.after(0, order=ORDER)] == [3]
    assert [one.at for one in await events.after(0, limit=2)] == [1, 2]


async def test_an_event_belongs_to_the_transaction_that_is_open(records: Records) -> None:
    with pytest.raises(LookupError):
        async with records.transaction():
            await events.append(StudyStable(study=STUDY, version=1, instances=1), now=1)
            raise LookupError
    assert await events.newest_seq() == 0


async def test_an_event_of_a_newer_version_reads_as_a_bare_one(records: Records) -> None:
    await EventRow.insert(EventRow(at=1, name="from-the-future", severity="info", study=STUDY, body='{"x": 1}')).run()
    assert (await events.after(0))[0].event == Event(study=STUDY)


@pytest.mark.parametrize("name", sorted(catalogue()))
def test_every_event_has_a_title_and_a_sentence_of_its_own_fields(name: str) -> None:
    kind = catalogue()[name]
    sample = {"str": "word", "int": 3, "float": 1.5, "bool": True}
    values: dict[str, Any] = {one.name: sample[getattr(one.type, "__name__", "str")] for one in msgspec.structs.fields(kind)}
    event = kind(**values)
    assert kind.title and kind.severity in ("info", "warning", "error") and (kind.__doc__ or "").strip()
    assert event.text() and "{" not in event.text()
    assert msgspec.json.decode(msgspec.json.encode(event), type=kind) == event
