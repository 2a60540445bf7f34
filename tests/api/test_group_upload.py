"""A cohort as one ZIP for each study, from the command line to studies in the group (GRP-01)."""

import asyncio
import os
import sys
import zipfile
from pathlib import Path

from api.app import create_app
from appliance import cohorts
from appliance.access.tokens import create_token
from appliance.house import House
from appliance.moments import now_ms
from appliance.records import groups
from tests.api.conftest import served
from tests.phantoms import PhantomStudy, a_small_diffusion_study


def zipped(phantom: PhantomStudy, target: Path) -> None:
    with zipfile.ZipFile(target, "w") as archive:
        for number, file in enumerate(phantom.files):
            archive.write(file, f"DICOM/{number}.dcm")
        archive.writestr("readme.txt", "no image")


async def test_each_zip_of_a_folder_is_a_study_of_the_group_and_a_bad_one_stops_no_other(house: House, tmp_path: Path) -> None:
    """GRP-01: upload a group; PC-27: a bad ZIP is named and does not stop the others."""
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    zipped(a_small_diffusion_study(tmp_path / "one", seed=1), cohort / "1.zip")
    zipped(a_small_diffusion_study(tmp_path / "two", seed=2), cohort / "3.zip")
    (cohort / "2.zip").write_bytes(b"PK\x03\x04 and nothing else")
    with zipfile.ZipFile(cohort / "4.zip", "w") as archive:
        archive.writestr("notes.txt", "no image")
    await cohorts.create(house, "PARK-01", ["dti"], actor="meyer", now=now_ms())
    made = await create_token(house.keys, "cli", "user", created_by="test", now=now_ms())
    async with served(create_app(house)) as url:
        environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "RANVIER_URL": url, "RANVIER_TOKEN": made.secret}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "tui", "groups", "upload", "PARK-01", str(cohort)),
            env=environment, cwd=str(Path(__file__).resolve().parents[2]),
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, wrong = (one.decode() for one in await process.communicate())
    assert process.returncode == 2, wrong
    lines = [line.split("\t") for line in out.splitlines()]
    assert [line[0] for line in lines] == ["1.zip", "3.zip"]
    assert all(line[2].endswith(" stored, 1 left out") for line in lines)
    members = await groups.members(house.records, "PARK-01")
    assert {one.study for one in members} == {line[1] for line in lines}
    assert "2.zip:" in wrong
    assert "4.zip:" in wrong
    assert "There is no DICOM image in this ZIP" in wrong
    assert list((house.storage.root / "scratch").iterdir()) == []
