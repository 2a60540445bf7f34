"""After a deletion nothing of the patient is found: not on the disk, not in the database, on both engines."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from appliance import removal, settings
from appliance.house import House, open_house
from appliance.moments import now_ms
from appliance.receive.stable import force_stable
from appliance.records import identities
from tests.api.conftest import a_report, an_order, file_phantom
from tests.phantoms import PhantomStudy, a_small_diffusion_study


@pytest.fixture
async def house(migrated_url: str, new_home: Path) -> AsyncIterator[House]:
    """A new appliance on either engine."""
    settings.save_bootstrap(new_home, settings.Bootstrap(database="" if migrated_url.startswith("sqlite") else migrated_url))
    async with open_house(new_home, create=True) as opened:
        yield opened


async def _everything_in_rows(house: House) -> str:
    """Every row of every table as text; bytes as hexadecimal digits."""
    if house.records.on_sqlite:
        await house.records.run("PRAGMA wal_checkpoint(TRUNCATE)")
        tables = await house.records.run("SELECT name FROM sqlite_master WHERE type = 'table'")
    else:
        tables = await house.records.run("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'")
    said = []
    for table in tables:
        for row in await house.records.run(f'SELECT * FROM "{table["name"]}"'):
            said += [value.hex() if isinstance(value, bytes) else str(value) for value in row.values()]
    return "\n".join(said)


def _files_with(home: Path, needles: list[bytes]) -> list[str]:
    found = []
    for path in home.rglob("*"):
        if path.is_file():
            data = path.read_bytes().lower()
            found += [f"{path.name}: {needle!r}" for needle in needles if needle.lower() in data]
    return found


def _words(phantom: PhantomStudy) -> list[str]:
    return [*phantom.identity_tokens, phantom.study_uid]


async def test_a_deleted_study_leaves_no_trace_of_its_patient(house: House, tmp_path: Path) -> None:
    """UI-02: files, rows, previews, reports and the sealed identity, searched byte by byte."""
    phantom = a_small_diffusion_study(tmp_path / "phantom")
    study = await file_phantom(house, phantom)
    await force_stable(house.records, study, now=now_ms())
    order = await an_order(house, study, state="REPORTED")
    await a_report(house, study, order)
    await identities.put_linking(house.keys, study, {phantom.study_uid: "2.25.1"})
    rows = await house.records.run("SELECT sealed, linking, patient_key, accession_key FROM identities")
    sealed = [bytes(rows[0]["sealed"]), bytes(rows[0]["linking"])]
    needles = [one.encode() for one in _words(phantom)]
    assert _files_with(house.home, needles), "the images are there before"
    before = await _everything_in_rows(house)
    assert not [one for one in _words(phantom) if one.lower() in before.lower()], "no row says it in the clear even then"
    assert sealed[0].hex() in before

    await removal.delete_study(house, study, actor="the-admin", now=now_ms())

    after = await _everything_in_rows(house)
    for one in (*_words(phantom), *(each.hex() for each in sealed), rows[0]["patient_key"], rows[0]["accession_key"]):
        assert str(one).lower() not in after.lower()
    assert _files_with(house.home, [*needles, *sealed]) == []


async def test_a_deleted_order_leaves_nothing_of_itself(house: House, tmp_path: Path) -> None:
    """UI-02: the order's own rows, files and text go; its study stays."""
    study = await file_phantom(house, a_small_diffusion_study(tmp_path / "phantom"))
    await force_stable(house.records, study, now=now_ms())
    order = await an_order(house, study, state="REPORTED")
    report = await a_report(house, study, order)
    await removal.delete_order(house, order, actor="the-admin", now=now_ms())
    for table in ("orders", "reports", "product_runs", "deliveries", "study_list", "study_texts"):
        rows = await house.records.run(f"SELECT * FROM {table}")
        assert not [row for row in rows if order in str(row) or report in str(row) or order[-8:] in str(row)], table
    assert not [path for path in house.home.rglob("*") if order in str(path) and path.is_file()]
    (listed,) = await house.records.run("SELECT shown, order_id FROM study_list")
    assert (listed["shown"], listed["order_id"]) == ("STABLE", "")
