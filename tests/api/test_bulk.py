"""Many results in one download, and the commands that fetch them and group reports, against the real API (RES-06, GRP-02)."""

import asyncio
import csv
import hashlib
import io
import json
import os
import sys
import zipfile
from pathlib import Path

import msgspec

from api.app import create_app
from appliance.access.tokens import create_token
from appliance.house import House
from appliance.moments import now_ms
from tests.api.conftest import Door, Filed, a_report, an_order, served
from tests.unit.reports.samples import a_report as a_content
from tests.unit.reports.samples import a_section


async def _two_results(house: House, study: str) -> list[str]:
    """Two orders with a report each; the second has a failure report as well. Gives the orders."""
    found = []
    for fa in (0.31, 0.32):
        order = await an_order(house, study, state="DELIVERED")
        report = await a_report(house, study, order)
        section = a_section()
        rows = [msgspec.structs.replace(section.rows[0], value=fa), *section.rows[1:4]]
        content = msgspec.structs.replace(a_content(sections=[msgspec.structs.replace(section, rows=rows)]), order=order)
        text = msgspec.json.encode(content).decode()
        await house.records.run("UPDATE reports SET content = {} WHERE id = {}", text, report)
        found.append(order)
    await a_report(house, study, found[1], "failure")
    return found


async def test_results_that_fit_a_filter_come_as_one_zip_with_manifest_and_table(door: Door, filed: Filed) -> None:
    """RES-06: bulk download as ZIP and aggregated CSV."""
    orders = await _two_results(door.house, filed.study)
    answer = await door.call("user", "GET", "/api/results/bundle?formats=pdf,json,fhir")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        table = list(csv.DictReader(io.StringIO(archive.read("results.csv").decode())))
        names = set(archive.namelist())
        assert archive.read(f"{orders[0]}_report.pdf") == f"pdf of {orders[0]}".encode()
    assert {one["order"] for one in manifest["reports"]} == set(orders)
    assert {one["kind"] for one in manifest["reports"]} == {"report", "failure"}
    assert all(one["missing"] == ["fhir"] for one in manifest["reports"]), "what is not there is named"
    assert names == {"manifest.json", "results.csv"} | {file["name"] for one in manifest["reports"] for file in one["files"]}
    assert {row["order"]: row["dti.fa_mean"] for row in table} == dict(zip(orders, ("0.31", "0.32"), strict=True))
    only = await door.call("user", "GET", "/api/results/bundle?formats=pdf&q=kind:failure")
    with zipfile.ZipFile(io.BytesIO(only.content)) as archive:
        assert [one["order"] for one in json.loads(archive.read("manifest.json"))["reports"]] == [orders[1]]


async def test_a_bundle_that_cannot_be_is_refused_before_it_begins(door: Door) -> None:
    assert (await door.call("user", "GET", "/api/results/bundle?formats=dicom-pdf")).json()["code"] == "format-unknown"
    assert (await door.call("user", "GET", "/api/results/bundle?q=nonsense:1")).status_code == 400
    empty = await door.call("user", "GET", "/api/results/bundle")
    with zipfile.ZipFile(io.BytesIO(empty.content)) as archive:
        assert sorted(archive.namelist()) == ["manifest.json", "results.csv"]


async def test_the_commands_fetch_a_bundle_and_a_group_report(house: House, filed: Filed, tmp_path: Path) -> None:
    """RES-06, GRP-01, GRP-02: create, add, report from the command line; never over another file."""
    await _two_results(house, filed.study)
    made = await create_token(house.keys, "cli", "admin", created_by="test", now=now_ms())
    async with served(create_app(house)) as url:

        async def ranvier(*words: str) -> tuple[int, str, str]:
            environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RANVIER_URL": url, "RANVIER_TOKEN": made.secret}
            root = str(Path(__file__).resolve().parents[2])
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tui", *words),
                env=environment, cwd=root, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            out, wrong = await process.communicate()
            return int(process.returncode or 0), out.decode(), wrong.decode()

        target = tmp_path / "all.zip"
        assert (await ranvier("results", "bundle", "--format", "json", "--out", str(target)))[0] == 0
        with zipfile.ZipFile(target) as archive:
            assert len(archive.namelist()) == 5
        again = await ranvier("results", "bundle", "--out", str(target))
        assert (again[0], "already a file" in again[2]) == (73, True)
        assert (await ranvier("results", "bundle", "--format", "bad", "--out", str(tmp_path / "no.zip")))[0] == 64
        assert not (tmp_path / "no.zip").exists()
        assert (await ranvier("groups", "create", "PARK 01", "--product", "dti"))[0] == 0
        assert (await ranvier("groups", "add", "PARK 01", filed.study))[1].strip() == f"{filed.study} is in PARK 01"
        saved = await ranvier("groups", "report", "PARK 01", "--format", "csv,pdf", "--out", str(tmp_path / "out"), "--json")
        assert saved[0] == 0, saved[2]
        files = json.loads(saved[1])["files"]
        assert [Path(one).name[:26] for one in files] == ["PARK01_prediction-indexes_"] * 2, "a space in a name is left out"
        assert [Path(one).suffix for one in files] == [".csv", ".pdf"]
        assert all(Path(one).is_file() for one in files)
        assert (await ranvier("groups", "list"))[1].startswith("PARK 01\tdti ")
        assert (await ranvier("notices", "list")) == (0, "", "")


async def test_a_file_that_is_not_what_was_looked_through_is_left_out(door: Door, filed: Filed) -> None:
    """DEID-09: what leaves without identity is, byte for byte, what the last look passed."""
    order = await an_order(door.house, filed.study, state="DELIVERED")
    report = await a_report(door.house, filed.study, order)
    passed = {name: hashlib.sha256(f"{name} of {order}".encode()).hexdigest() for name in ("pdf", "json")}
    text = msgspec.json.encode({**passed, "json": "0" * 64}).decode()
    await door.house.records.run("UPDATE reports SET searched = {} WHERE id = {}", text, report)
    codes = {name: (await door.call("user", "GET", f"/api/reports/{report}/{name}")) for name in ("pdf", "json")}
    assert {name: one.status_code for name, one in codes.items()} == {"pdf": 200, "json": 409}
    assert codes["json"].json()["code"] == "report-file-changed"
    answer = await door.call("user", "GET", "/api/results/bundle?formats=pdf,json")
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        (told,) = json.loads(archive.read("manifest.json"))["reports"]
        assert (told["missing"], [one["format"] for one in told["files"]]) == (["json"], ["pdf"])
        assert f"{order}_report.json" not in archive.namelist()
