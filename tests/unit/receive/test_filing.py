"""From arrivals to rows, on both database engines."""

import asyncio
import os
from pathlib import Path

import msgspec
import pytest

from appliance.receive import filing, sheet
from appliance.receive.filing import Filer
from appliance.receive.holds import Holds
from appliance.receive.inbox import recovered
from appliance.receive.intake import Intake, of_environment
from appliance.receive.stable import release
from appliance.receive.sweep import adopt_dead, reconcile
from appliance.records import events, identities, studies
from appliance.states import IllegalMove, StudyState
from appliance.storage import OutOfSpace
from tests.unit.receive.conftest import Bench

NOW = 1_800_000_100_000


def filer(bench: Bench) -> Filer:
    return Filer(bench.storage, bench.keys, bench.records)


async def the_study() -> studies.StudyRow:
    (found,) = [one for state in StudyState for one in await studies.in_state(state)]
    return found


async def test_a_batch_becomes_a_study_with_series_instances_and_a_sealed_identity(bench: Bench) -> None:
    arrivals = [bench.arrival(f"1.{n}", series=f"1.2.3.{n % 2}") for n in range(6)]
    filed = await filer(bench).file(arrivals, NOW)
    assert (filed.stored, filed.identical, filed.conflicts, filed.quarantined) == (6, 0, 0, 0)

    study = await the_study()
    assert (study.instances, study.series, study.version, study.state) == (6, 2, 1, StudyState.RECEIVING)
    assert study.uid_key == bench.keys.digest("study-uid", "1.2.3")
    assert study.pseudonym == identities.pseudonym(bench.keys, "", "7")
    assert study.bytes == sum(one.bytes for one in arrivals)
    assert [(one.instances, one.modality, one.label, one.number) for one in await studies.series(study.id)] == [
        (3, "MR", "ep2d diff", 12)
    ] * 2
    rows = await studies.instances(study.id, 1)
    assert [row.id for row in rows] == [one.id for one in arrivals]
    assert all(bench.storage.absolute(row.path).is_file() for row in rows)
    identity = await identities.get(bench.keys, study.id)
    assert identity is not None and identity.patient_id == "007"
    assert [row.name for row in await events.after(0)] == ["instances-arrived"]
    assert bench.inbox.waiting() == []


async def test_filing_the_same_file_again_changes_nothing(bench: Bench) -> None:
    """REC-04: a crash between commit and the inbox's letting go repeats the batch."""
    arrival = bench.arrival("1.1")
    os.link(arrival.path, bench.storage.home / "again")
    await filer(bench).file([arrival], NOW)
    before = await the_study()
    os.rename(bench.storage.home / "again", arrival.path)
    filed = await filer(bench).file([recovered(arrival.path)], NOW)
    assert filed.stored == 0
    assert await the_study() == before
    assert bench.inbox.waiting() == []


async def test_a_commit_that_was_reported_lost_gives_the_file_back(bench: Bench) -> None:
    """REC-04: rows are there, the file's second name was taken back: the inbox still has it."""
    arrival = bench.arrival("1.1")
    os.link(arrival.path, bench.storage.home / "again")
    await filer(bench).file([arrival], NOW)
    study = await the_study()
    (row,) = await studies.instances(study.id, 1)
    bench.storage.absolute(row.path).unlink()
    os.rename(bench.storage.home / "again", arrival.path)
    await filer(bench).file([arrival], NOW)
    assert bench.storage.absolute(row.path).is_file()


async def test_a_failed_transaction_leaves_neither_row_nor_file(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    arrivals = [bench.arrival("1.1"), bench.arrival("1.2")]

    async def broken(*_: object) -> None:
        raise OSError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(studies, "save_progress", broken)
        with pytest.raises(OSError, match="away"):
            await filer(bench).file(arrivals, NOW)
    assert await studies.states(bench.records) == {}
    assert list((bench.storage.root / "studies").rglob("*.dcm")) == []
    assert len(bench.inbox.waiting()) == 2
    assert (await filer(bench).file(arrivals, NOW)).stored == 2


async def test_resent_conflicting_and_new_instances_of_one_batch_are_told_apart(bench: Bench) -> None:
    """REC-05: also when they come in the same batch."""
    batch = [bench.arrival("1.1"), bench.arrival("1.1"), bench.arrival("1.1", comment="other"), bench.arrival("1.2")]
    filed = await filer(bench).file(batch, NOW)
    assert (filed.stored, filed.identical, filed.conflicts) == (3, 1, 1)
    study = await the_study()
    assert (study.instances, study.conflicts) == (2, 1)
    assert [row.conflict for row in await studies.instances(study.id, 1)] == [False, True, False]


async def test_one_sop_uid_in_two_studies_is_told_and_both_stay_in_use(bench: Bench) -> None:
    """REC-05: kept apart by their studies already."""
    await filer(bench).file([bench.arrival("1.1", study="1.2.3")], NOW)
    filed = await filer(bench).file([bench.arrival("1.1", study="1.2.4")], NOW)
    assert (filed.stored, filed.conflicts) == (1, 1)
    found = await studies.in_state(StudyState.RECEIVING)
    assert sorted((one.instances, one.conflicts) for one in found) == [(1, 0), (1, 1)]
    assert [row.name for row in await events.after(0)].count("instance-conflict") == 1


async def test_a_conflict_puts_the_study_aside_where_the_settings_say_so_and_a_person_lets_it_go_on(bench: Bench) -> None:
    """REC-05: both contents are kept whatever the policy; released, the study is received as before."""
    filing = filer(bench)
    filing.sets_conflicts_aside = True
    await filing.file([bench.arrival("1.1"), bench.arrival("1.2")], NOW)
    assert (await the_study()).state is StudyState.RECEIVING
    await filing.file([bench.arrival("1.1", comment="other")], NOW)
    study = await the_study()
    assert (study.state, study.reason, study.conflicts) == (StudyState.QUARANTINED, "conflicting-instances", 1)
    assert len(await studies.instances(study.id, 1)) == 3
    (told,) = [row.event.text() for row in await events.after(0) if row.name == "study-quarantined"]
    assert told == "Study quarantined: instances of it came again with other content."
    await release(bench.records, study.id, actor="admin", now=NOW)
    study = await the_study()
    assert (study.state, study.reason) == (StudyState.RECEIVING, "")
    assert [row.event.text() for row in await events.after(0)][-1].startswith("Study released from quarantine by admin")
    with pytest.raises(IllegalMove):
        await release(bench.records, study.id, actor="admin", now=NOW)


async def test_a_quarantined_study_goes_on_collecting_its_instances(bench: Bench) -> None:
    await filer(bench).file([bench.arrival("1.1"), bench.arrival("1.2", patient="008")], NOW)
    await filer(bench).file([bench.arrival("1.3")], NOW)
    study = await the_study()
    assert (study.state, study.instances, study.version) == (StudyState.QUARANTINED, 3, 1)
    assert [row.name for row in await events.after(0)].count("study-quarantined") == 1


async def test_an_instance_nobody_foresaw_holds_up_no_other(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """REC-08: it is set aside with a reason, and not tried for ever."""
    good, bad = bench.arrival("1.1"), bench.arrival("1.2")
    original = sheet.readable

    def raises(arrival: object) -> object:
        if arrival is bad:
            raise ValueError("nobody foresaw this")
        return original(arrival)  # type: ignore[arg-type]

    monkeypatch.setattr(filing, "readable", raises)
    intake = Intake(bench.storage, bench.inbox, filer(bench), Holds(bench.inbox.id), clock=lambda: NOW)
    await intake.file([good, bad])
    assert (await the_study()).instances == 1
    reason = msgspec.json.decode((bench.storage.quarantine(bad.id) / "reason.json").read_bytes())
    assert reason["reason"] == "filing-failed"
    assert bench.inbox.waiting() == []


async def test_filing_waits_for_a_database_that_is_away(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """REC-04: the batch is tried again until it goes through."""
    monkeypatch.setattr("appliance.receive.intake.FIRST_WAIT", 0.01)
    original, failures = studies.save_progress, [3]

    async def away(*arguments: object) -> None:
        failures[0] -= 1
        if failures[0] >= 0:
            raise ConnectionRefusedError
        await original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(studies, "save_progress", away)
    intake = Intake(bench.storage, bench.inbox, filer(bench), Holds(bench.inbox.id), clock=lambda: NOW)
    await intake.file([bench.arrival("1.1")])
    assert (await the_study()).instances == 1
    assert failures[0] == -1


async def test_what_does_not_fit_in_memory_is_filed_from_the_inbox(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """REC-04: a queue at its limit loses nothing."""
    monkeypatch.setattr("appliance.receive.intake.QUEUE", 2)
    intake = Intake(bench.storage, bench.inbox, filer(bench), Holds(bench.inbox.id), clock=lambda: NOW)
    for number in range(7):
        intake.arrived(bench.arrival(f"1.{number}"))
    await asyncio.sleep(0)
    assert not intake.idle
    intake.close()
    await asyncio.wait_for(intake.run(), 30)
    assert (await the_study()).instances == 7
    assert bench.inbox.waiting() == []


def test_whose_fault_it_is_decides_whether_to_wait() -> None:
    import sqlite3

    assert of_environment(sqlite3.OperationalError("database is locked"))
    assert of_environment(OutOfSpace())
    assert of_environment(ConnectionResetError())
    assert not of_environment(sqlite3.IntegrityError("NOT NULL"))
    assert not of_environment(FileNotFoundError())
    assert not of_environment(ValueError())


async def test_the_inbox_of_a_dead_receiver_is_adopted_and_that_of_a_living_one_is_not(bench: Bench) -> None:
    """REC-04, REC-08: the kernel's lock tells them apart."""
    from appliance.receive.inbox import Inbox

    arrival = bench.arrival("1.1")
    (bench.inbox.folder / f".{arrival.id}.dcm.1.part").write_bytes(b"half")
    own = Inbox(bench.storage)
    intake = Intake(bench.storage, own, filer(bench), Holds(own.id), clock=lambda: NOW)
    assert await adopt_dead(bench.storage, own, intake) == 0
    bench.inbox.close()
    assert await adopt_dead(bench.storage, own, intake) == 1
    assert (await the_study()).instances == 1
    assert not bench.inbox.folder.exists()


async def test_files_without_rows_are_filed_and_rows_without_files_are_told(bench: Bench) -> None:
    """REC-04: storage and records are put back in step in both directions."""
    intake = Intake(bench.storage, bench.inbox, filer(bench), Holds(bench.inbox.id), clock=lambda: NOW)
    await intake.file([bench.arrival("1.1"), bench.arrival("1.2")])
    study = await the_study()
    folder = bench.storage.original(study.id, 1)
    known = bench.arrival("1.3")
    os.rename(known.path, folder / known.path.name)
    stranger = bench.arrival("2.1", study="2.2")
    unknown = bench.storage.original("01a20000-0000-7000-8000-000000000000", 1)
    unknown.mkdir(parents=True)
    os.rename(stranger.path, unknown / stranger.path.name)

    (folder / "somebody-put-this-here.dcm").write_bytes(b"not ours")

    swept = await reconcile(bench.storage, bench.records, bench.inbox, intake, now=NOW)
    assert (swept.adopted, swept.missing) == (2, 0)
    assert sorted(one.instances for one in await studies.in_state(StudyState.RECEIVING)) == [1, 3]
    assert not Path(unknown).exists()

    (first, *_) = await studies.instances(study.id, 1)
    bench.storage.absolute(first.path).unlink()
    swept = await reconcile(bench.storage, bench.records, bench.inbox, intake, now=NOW)
    assert (swept.adopted, swept.missing) == (0, 1)
    assert ((await studies.get(study.id)).state, (await studies.get(study.id)).reason) == (
        StudyState.QUARANTINED,
        "files-missing",
    )


async def test_an_open_association_holds_the_studies_it_brought(bench: Bench) -> None:
    """REC-06: one row an association and study, gone when the association is."""
    holds = Holds(bench.inbox.id)
    holds.opened("a1", "MODALITY")
    await filer(bench).file([bench.arrival("1.1", association="a1")], NOW, holds=holds)
    await filer(bench).file([bench.arrival("1.2", association="a1")], NOW, holds=holds)
    await filer(bench).file([bench.arrival("1.3", association="ended long ago")], NOW, holds=holds)
    (row,) = await studies.activities((await the_study()).id)
    assert (row.process, row.kind) == (bench.inbox.id, "association")
    await holds.closed("a1")
    assert await studies.activities() == []
