"""What a deletion reaches outside the study's own rows and folders, searched for our identifiers (NOT-04, UI-02)."""

import json
import logging
import os
from pathlib import Path

import msgspec

from appliance import cohorts, erasure, logs, removal, retention, support
from appliance.house import House
from appliance.logs import blanking, index
from appliance.moments import now_ms
from appliance.receive.section import DropFolder, DropsSection
from appliance.receive.stable import force_stable
from appliance.records import drops, groups, notices, orders, studies
from appliance.records.groups import GroupReportRow
from appliance.reports import cohort, cohort_blank
from appliance.reports.as_csv import FACTS
from appliance.reports.cohort_content import CohortMember, CohortRequest, Number
from appliance.sought import digest
from tests.api.conftest import a_report, an_order, file_phantom
from tests.api.test_deletion_traces import _everything_in_rows, house
from tests.phantoms import a_small_diffusion_study

__all__ = ["house"]
MAY_KEEP = ("events", "audit", "event_rows")


def a_request(study: str, order: str, report: str, fa: float, standing: str = "done") -> CohortRequest:
    """A group in which four others lie close together."""
    facts = {"Subject": study, "order": order, "report": report, "age": "068Y", "sex": "F"}
    mine = CohortMember(
        study=study, order=order, standing=standing, facts=facts, numbers=[Number(column="dti.fa", label="FA", value=fa)]
    )
    others = [
        CohortMember(
            study=f"other-{n}", order=f"o{n}", standing="done", numbers=[Number(column="dti.fa", label="FA", value=n / 100)]
        )
        for n in range(40, 44)
    ]
    return CohortRequest(
        group="PARK-01", report="r", version=1, made_at="", reason="", site="", products={}, members=[mine, *others],
        out_folder="", stem="PARK-01",
    )  # fmt: skip


def test_a_groups_table_loses_the_identifiers_and_keeps_the_numbers() -> None:
    """The page of statistics names who stands out or has no result, and only those."""
    table = cohort.table(a_request("study-1", "order-1", "report-1", 0.9))
    bare = cohort_blank.without(table, ["study-1", "order-1", "report-1"]).decode()
    assert "study-1" not in bare and "order-1" not in bare and "report-1" not in bare
    assert bare.splitlines()[1].endswith(",0.9") and len(bare.splitlines()) == 6
    assert cohort_blank.is_named(table, "study-1")
    assert not cohort_blank.is_named(table, "other-41")
    assert not cohort_blank.is_named(table, "nobody")
    assert not cohort_blank.is_named(cohort.table(a_request("study-1", "o", "r", 0.42)), "study-1")
    assert cohort_blank.is_named(cohort.table(a_request("study-1", "o", "r", 0.42, "failed")), "study-1")
    assert "dti.fa" not in FACTS


def test_identifiers_go_from_log_lines_of_the_same_length_wherever_a_piece_ends(tmp_path: Path) -> None:
    gone, kept = "01a2016c-f1eb-70fb-8f5f-eaad0c01c811", "01a2016c-f1eb-70fb-8f5f-eaad0c01c812"
    folder = tmp_path / "logs"
    folder.mkdir()
    line = json.dumps({"study": gone, "order": kept, "message": f"order {gone[-8:]} ended, not {kept[-8:]}"}) + "\n"
    filler = "x" * 1021 + "\n"
    text = "".join(filler * (1000 + number) + line for number in range(4))
    (folder / "work.jsonl").write_text(text)
    (folder / "work.jsonl.1").write_text(line)
    index.write(folder / "work.jsonl.1")
    assert gone.encode() in index.place_of(folder / "work.jsonl.1").read_bytes()
    os.utime(folder / "work.jsonl.1", (1000, 1000))
    assert blanking.blank(tmp_path, {gone}) == 10
    assert (folder / "work.jsonl.1").stat().st_mtime == 1000, "it goes by its age"
    assert not index.place_of(folder / "work.jsonl.1").exists(), "the index is made again without it"
    after = (folder / "work.jsonl").read_text()
    zeros = gone.translate(str.maketrans("123456789abcdef", "0" * 15))
    assert after == text.replace(gone, zeros).replace(gone[-8:], "0" * 8)
    assert kept in after and json.loads((folder / "work.jsonl.1").read_text())["study"] == zeros
    assert blanking.blank(tmp_path, set()) == 0


async def _known(house: House, study: str, order: str, report: str, outgoing: Path) -> None:
    """Puts the study into everything that is not its own: a group's report, a drop, a pull, a notice, a bundle, the log."""
    now = now_ms()
    group = await cohorts.create(house, "PARK-01", ["dti"], actor="test", now=now)
    await house.records.run("UPDATE studies SET group_name = 'PARK-01' WHERE id = {}", study)
    folder = house.storage.cohort(group.id) / "r"
    folder.mkdir(parents=True)
    (folder / "PARK-01.csv").write_bytes(cohort.table(a_request(study, order, report, 0.9)))
    for kind in ("pdf", "png"):
        (folder / f"PARK-01.{kind}").write_text(f"outlier {study[-8:]}")
    row = GroupReportRow(
        id="r", cohort=group.id, version=1, reason="completed", members=5, done=5, failed=0,
        folder=house.storage.relative(folder), stem="PARK-01", formats="csv,pdf,png", created_at=now,
    )  # fmt: skip
    await groups.add_report(row)
    key, _ = await cohorts._completion(house, "PARK-01")
    await groups.claim_completed(house.records, await groups.get("PARK-01"), key)
    uid_key = str((await house.records.run("SELECT uid_key FROM studies WHERE id = {}", study))[0]["uid_key"])
    drop = await drops.begin(house.keys, "SITE", b"MUELLER_ANNE.zip", now)
    await drops.taken(house.records, drop, [uid_key], stored=3, left_out=0)
    await drops.end(house.records, drop, drops.DONE, now=now)
    await house.records.run(
        "INSERT INTO pulls (id, node, state, uid_key, sealed) VALUES ('p', 'PACS', 'DONE', {}, {})", uid_key, b"sealed"
    )
    for name in (f"{order}_report.pdf", f"receipt_{drop.id}.json"):
        (outgoing / name).write_text(f"{study} {order}")
    (outgoing / "results.csv").write_text(f"Subject,order\n{study},{order}\nother,other\n")
    about = json.dumps({"study": study, "order": order})
    for number, state in enumerate(("sent", "waiting")):
        notice = notices.NoticeRow(
            id=f"n{number}", seq=number, subject="qc-failed", severity="warning", route="email", state=state, reason="",
            digest=False, attempt=0, worker="", lease_until=0, not_before=now, at=now, sent_at=None,
            topic=f"qc-failed:{order}", body=about,
        )  # fmt: skip
        await notices.add(house.records, notice)
    settings = (await house.settings()).settings
    await support.write_bundle(house, settings, await orders.get(order), "crash", now=now)
    line = logging.LogRecord("t", logging.INFO, "", 0, f"order {order[-8:]} of {study}", None, None)
    line.__dict__ |= {"study": study, "order": order}
    (house.home / "logs").mkdir(exist_ok=True)
    (house.home / "logs" / "work.jsonl").write_text(logs.JsonLines("work").format(line) + "\n")


async def test_a_deleted_study_is_known_by_its_identifier_to_events_and_audit_only(house: House, tmp_path: Path) -> None:
    """NOT-04, both engines: drops, pulls, group reports, bundles, outgoing folders, notices, log lines."""
    outgoing = tmp_path / "site" / "outgoing"
    outgoing.mkdir(parents=True)
    loaded = await house.settings()
    folder = DropFolder(name="SITE", folder=str(tmp_path / "site"), sender="SITE")
    wanted = msgspec.structs.replace(loaded.settings, drops=DropsSection(folders=(folder,)))
    await house.save(wanted, based_on=loaded.version, actor="test", now=now_ms(), changed=["drops"])
    study = await file_phantom(house, a_small_diffusion_study(tmp_path / "phantom"))
    await force_stable(house.records, study, now=now_ms())
    order = await an_order(house, study, state="DELIVERED")
    report = await a_report(house, study, order)
    await _known(house, study, order, report, outgoing)
    sealed = bytes((await house.records.run("SELECT sealed FROM drops"))[0]["sealed"]).hex()
    assert sealed in await _everything_in_rows(house)
    assert await cohorts.is_reported(house, "PARK-01")

    await removal.delete_study(house, study, actor="the-admin", now=now_ms())
    assert await erasure.log_lines(house) == 4
    assert await erasure.log_lines(house) == 0

    needles = [one for each in (study, order, report) for one in (each, each[-8:])]
    for table in await _tables(house):
        if table not in MAY_KEEP:
            said = str(await house.records.run(f'SELECT * FROM "{table}"'))
            assert [one for one in needles if one in said] == [], table
    assert sealed not in await _everything_in_rows(house)
    for path in [*house.home.rglob("*"), *(tmp_path / "site").rglob("*")]:
        assert [one for one in needles if one in str(path)] == []
        if path.is_file() and not path.name.startswith("ranvier.") and ".db" not in path.name:
            data = path.read_bytes()
            assert [one for one in needles if one.encode() in data] == [], path
    (left,) = await groups.every_report()
    assert left.format_list == ["csv"]
    kept = house.storage.absolute(left.folder) / "PARK-01.csv"
    assert json.loads(left.searched)["csv"] == digest(kept), "it can be downloaded still"
    told = await house.records.run("SELECT state, topic, body FROM notices ORDER BY id")
    assert [(str(one["state"]), one["topic"], one["body"]) for one in told] == [
        ("sent", "qc-failed", ""),
        ("suppressed", "qc-failed", ""),
    ]
    await cohorts.tend(house, now_ms())
    assert len(await groups.every_report()) == 1, "a group that lost a member is not reported anew"
    assert (outgoing / "results.csv").read_text() == "Subject,order\nother,other\n"


async def _tables(house: House) -> list[str]:
    if house.records.on_sqlite:
        rows = await house.records.run("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    else:
        rows = await house.records.run("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
    return [str(row["name"]) for row in rows]


async def test_a_study_that_a_pull_or_a_drop_may_bring_again_is_not_deleted_yet(house: House, tmp_path: Path) -> None:
    study = await file_phantom(house, a_small_diffusion_study(tmp_path / "phantom"))
    await force_stable(house.records, study, now=now_ms())
    uid_key = str((await house.records.run("SELECT uid_key FROM studies"))[0]["uid_key"])
    await house.records.run(
        "INSERT INTO pulls (id, node, state, uid_key, sealed) VALUES ('p', 'X', 'RUNNING', {}, {})", uid_key, b""
    )
    for done in ("UPDATE pulls SET state = 'DONE'", "UPDATE drops SET state = 'DONE'"):
        try:
            await removal.delete_study(house, study, actor="x", now=now_ms())
            raise AssertionError("deleted")
        except removal.StillArriving:
            await house.records.run(done)
        if "pulls" in done:
            drop = await drops.begin(house.keys, "SITE", b"a.zip", now_ms())
            await drops.taken(house.records, drop, [uid_key, "another"], stored=3, left_out=0)
    await removal.delete_study(house, study, actor="x", now=now_ms())
    assert bytes((await house.records.run("SELECT sealed FROM drops"))[0]["sealed"]) == b"", "it brought others too"
    assert await studies.by_uid_keys(house.records, [uid_key]) == {}


async def test_what_was_set_aside_goes_by_its_age_and_what_an_order_has_stays(house: House, tmp_path: Path) -> None:
    """NOT-04: instances that could not be filed hold patients too."""
    study = await file_phantom(house, a_small_diffusion_study(tmp_path / "phantom"))
    await force_stable(house.records, study, now=now_ms())
    order = await an_order(house, study, state="HELD")
    for name in ("01a2016c-f1eb-70fb-8f5f-eaad0c01c811", order):
        house.storage.quarantine(name).mkdir(parents=True)
        (house.storage.quarantine(name) / "instance.dcm").write_text("somebody")
    young = await retention.run(house, actor="appliance", now=now_ms())
    assert young.quarantined == 0
    later = now_ms() + 91 * 86_400_000
    assert (await retention.run(house, actor="appliance", now=later, dry_run=True)).quarantined == 1
    assert "1 from quarantine" in (await retention.run(house, actor="appliance", now=later)).words
    assert [one.name for one in house.storage.quarantined()] == [order]
