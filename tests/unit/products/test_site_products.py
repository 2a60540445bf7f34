"""A site's own products: manifest errors by field, the command in its stage, and what is refused (PRO-02, PRO-04)."""

import os
import shutil
import textwrap
from pathlib import Path

import msgspec
import pydicom
import pytest

from appliance.compute import landlock
from appliance.compute.local import Limits, OutOfMemory, StageDied, StageEnded, run_stage
from appliance.products import catalogue, faults, offered, site_run
from appliance.products.manifest import ProductRequest, ProductResult
from tests.house.tree import ROOT
from tests.phantoms import a_small_diffusion_study

EXAMPLE = ROOT / "appliance" / "docs" / "examples" / "count-images"
MANIFEST = """
id = "own"
version = "2.1"
title = "Own"
intended_use = "Test."
command = ["python3", "own.py"]
"""


def a_product(home: Path, program: str = "", manifest: str = MANIFEST, name: str = "own") -> Path:
    folder = home / "products" / name
    folder.mkdir(parents=True)
    (folder / "manifest.toml").write_text(manifest)
    (folder / "own.py").write_text(textwrap.dedent(program))
    return folder


def images(folder: Path) -> Path:
    for name in ("s1/a.dcm", "s1/b.dcm", "s2/c.dcm"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"\0" * 1000)
    return folder


async def run(
    tmp_path: Path, folder: Path, limits: Limits | None = None, source: Path | None = None, memory_mb: int = 4096
) -> ProductResult:
    """The product through the real stage, as the appliance runs it."""
    out = tmp_path / "home" / "storage" / "scratch" / "1" / "out"
    shutil.rmtree(out.parent, ignore_errors=True)
    out.mkdir(parents=True)
    request = ProductRequest(
        product=folder.name,
        in_folder=str(source or images(tmp_path / "home" / "storage" / "deidentified")),
        out_folder=str(out),
        folder=str(folder),
        memory_mb=memory_mb,
    )

    async def silent(_share: float, _step: str) -> None:
        return None

    raw = await run_stage("product", request, limits or Limits(timeout_s=60), progress=silent, out_folder=out)
    return msgspec.json.decode(raw, type=ProductResult)


async def refused(tmp_path: Path, program: str, limits: Limits | None = None) -> tuple[str, str]:
    with pytest.raises(StageEnded) as ended:
        await run(tmp_path, a_product(tmp_path / "home", program), limits)
    assert ended.value.error.kind == "failed"
    return ended.value.error.code, ended.value.error.what


# --- manifests -------------------------------------------------------------------------------------------------------


def test_a_sites_product_stands_in_the_catalogue_beside_the_appliances(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path / "products" / "count-images")
    found = catalogue(tmp_path)
    assert set(found) == {*catalogue(), "count-images"}
    assert found["count-images"].protocol.minimum_directions == 6
    assert found["count-images"].memory_mb == 512
    assert "count-images" in offered(tmp_path, "local")
    assert "count-images" not in offered(tmp_path, "cloud")
    assert faults(tmp_path) == {}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("command = ", "# "), "command: a product that runs here needs one"),
        (('"Test."', '"Test."\nruns_on = ["moon"]'), "runs_on"),
        (('["python3", "own.py"]', "[]"), "command: a product that runs here needs one"),
        (('["python3", "own.py"]', '"python3 own.py"'), "command: "),
        (("title = ", "titel = "), "titel"),
        (('"2.1"', "2.1"), "version: "),
        (('id = "own"', 'id = "../own"'), "id: "),
        (('id = "own"', 'id = "other"'), "id: 'other' is not the name of its folder"),
        (('"Test."', '"Test."\nmemory_mb = 1'), "memory_mb: "),
        (('"Test."', '"Test."\n[protocol]\nminimum_b0 = "many"'), "protocol.minimum_b0: "),
        (("[", "[["), "manifest.toml cannot be read"),
    ],
)
def test_what_is_wrong_with_a_manifest_is_said_by_field_and_hides_no_other_product(
    tmp_path: Path, change: tuple[str, str], says: str
) -> None:
    a_product(tmp_path, manifest=MANIFEST.replace(*change, 1))
    a_product(tmp_path, manifest=MANIFEST.replace('"own"', '"good"'), name="good")
    assert says in faults(tmp_path)["own"]
    assert "own" not in catalogue(tmp_path)
    assert "good" in catalogue(tmp_path)


def test_a_folder_without_manifest_and_one_that_takes_our_name_are_said(tmp_path: Path) -> None:
    (tmp_path / "products" / "empty").mkdir(parents=True)
    a_product(tmp_path, manifest=MANIFEST.replace('"own"', '"dti"'), name="dti")
    assert set(faults(tmp_path)) == {"empty", "dti"}
    assert catalogue(tmp_path)["dti"].folder == ""


# --- runs ------------------------------------------------------------------------------------------------------------


async def test_the_documented_example_runs_as_documented(tmp_path: Path) -> None:
    """PRO-02: a manifest file and a command, without touching the code of the appliance."""
    folder = tmp_path / "home" / "products" / "count-images"
    shutil.copytree(EXAMPLE, folder)
    result = await run(tmp_path, folder)
    assert {one.name: (one.value, one.unit) for one in result.values} == {"images": (3, ""), "size": (0.003, "MB")}
    assert (result.product, result.version) == ("count-images", "1.0.0")
    assert not (tmp_path / "home/storage/scratch/1/in").exists()


async def test_a_module_made_for_mercure_runs_as_it_is(tmp_path: Path) -> None:
    """PRO-02: folders as arguments, settings in `task.json`, numbers at the top level of `result.json`."""
    folder = tmp_path / "home" / "products" / "series-volume"
    shutil.copytree(EXAMPLE.with_name("series-volume"), folder)
    phantom = a_small_diffusion_study(tmp_path / "phantom")
    source = tmp_path / "home" / "storage" / "deidentified" / "s1"
    source.mkdir(parents=True)
    for number, file in enumerate(phantom.files):
        shutil.copyfile(file, source / f"{number}.dcm")
    result = await run(tmp_path, folder, source=source.parent)
    first = pydicom.dcmread(phantom.files[0], stop_before_pixels=True)
    places = {tuple(pydicom.dcmread(file, stop_before_pixels=True).ImagePositionPatient) for file in phantom.files}
    voxel = float(first.PixelSpacing[0]) * float(first.PixelSpacing[1]) * float(first.SliceThickness)
    litres = len(places) * first.Rows * first.Columns * voxel / 1e6
    assert {one.name: one.value for one in result.values} == {"series": 1.0, "volume": pytest.approx(litres, abs=1e-6)}


async def test_a_command_sees_its_contract_and_nothing_of_the_appliances_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RANVIER_SECRET", "token")
    program = """
        import json, os
        found = {"notes": sorted(os.environ), "inputs": len(os.listdir(os.environ["MERCURE_IN_DIR"])), "wide": True}
        found["values"] = [{"name": "fit", "label": "Fit", "value": None}]
        open(os.environ["MERCURE_OUT_DIR"] + "/result.json", "w").write(json.dumps(found))
    """
    result = await run(tmp_path, a_product(tmp_path / "home", program))
    assert {"MERCURE_IN_DIR", "MERCURE_OUT_DIR", "RANVIER_CORES", "OMP_NUM_THREADS", "TMPDIR"} <= set(result.notes)
    assert not {"RANVIER_SECRET", "RANVIER_HOME"} & set(result.notes)
    assert [(one.name, one.value) for one in result.values] == [("fit", None), ("inputs", 4.0)], (
        "numbers become values, truth does not"
    )


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ("", "there is no result.json"),
        ("not JSON", "no JSON"),
        ('{"fit": NaN}', "null there"),
        ("[1, 2]", "Expected `object`"),
        ('{"values": [{"name": "a"}]}', "label"),
        ('{"values": [{"name": "a", "label": "A", "value": "much"}]}', "Expected `float | null`"),
        ('{"maps": ["../../secret"]}', "outside the out-folder"),
        ('{"maps": ["/etc/passwd"]}', "outside the out-folder"),
        ('{"maps": ["absent.nii"]}', "not there"),
        ('{"pictures": [{"file": "result.json", "title": "A"}]}', "neither PNG nor JPEG"),
    ],
)
async def test_a_result_that_is_garbage_is_refused_by_name(tmp_path: Path, result: str, says: str) -> None:
    program = f"""
        import os
        text = {result!r}
        if text:
            open(os.environ["MERCURE_OUT_DIR"] + "/result.json", "w").write(text)
    """
    code, what = await refused(tmp_path, program)
    assert code == "product-result-unreadable"
    assert says in what


async def test_the_last_lines_of_a_command_that_failed_stand_in_the_log(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = "for n in range(90): print('line', n)\nprint('\\x1b[31mno weights\\x07 found'); raise SystemExit(2)"
    assert (await refused(tmp_path, program))[0] == "product-command-failed"
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("own: ")]
    assert lines[-1] == "own: [31mno weights found"
    assert len(lines) == site_run.LAST_LINES


async def test_a_command_that_fails_or_cannot_start_is_refused_by_name(tmp_path: Path) -> None:
    assert await refused(tmp_path, "raise SystemExit(3)") == (
        "product-command-failed",
        "The command of product own ended with exit 3.",
    )
    home = tmp_path / "other"
    folder = a_product(home, manifest=MANIFEST.replace('"python3", "own.py"', '"./absent"'))
    with pytest.raises(StageEnded) as ended:
        await run(tmp_path, folder)
    assert ended.value.error.code == "product-command-not-started"


async def test_a_command_whose_file_grows_too_large_fails_and_takes_nothing_else_down(tmp_path: Path) -> None:
    program = """
        import os
        open(os.environ["MERCURE_OUT_DIR"] + "/big", "wb").write(os.urandom(1 << 20) * 8)
    """
    code, _ = await refused(tmp_path, program, Limits(timeout_s=60, out_mb=4))
    assert code == "product-command-failed"


async def test_children_of_a_command_that_take_too_much_memory_together_end_it_with_the_figure(tmp_path: Path) -> None:
    """PRO-04: a real stage, a real command, the limit of all its processes."""
    program = """
        import os, subprocess, sys
        hoard = "import os, signal; kept = bytearray(os.urandom(1024)) * (1024 * 150); signal.pause()"
        for child in [subprocess.Popen([sys.executable, "-c", hoard]) for _ in range(4)]:
            child.wait()
    """
    with pytest.raises(OutOfMemory) as ended:
        await run(tmp_path, a_product(tmp_path / "home", program), Limits(timeout_s=120, memory_mb=400))
    assert int(str(ended.value.facts["used_mb"])) > 400


async def test_a_command_that_gets_no_memory_is_reported_so_and_not_as_failed(tmp_path: Path) -> None:
    """PRO-04: where no control group counts, the kernel refuses address space instead, and the command only says so."""
    program = "import os; kept = bytearray(os.urandom(1024)) * (1024 * 900)"
    limits = Limits(timeout_s=60, memory_mb=600)
    with pytest.raises(OutOfMemory, match="of the 600 MB") as ended:
        await run(tmp_path, a_product(tmp_path / "home", program), limits, memory_mb=600)
    assert int(str(ended.value.facts["used_mb"])) >= 600


async def test_a_command_that_kills_its_stage_is_a_crash(tmp_path: Path) -> None:
    with pytest.raises(StageDied, match="SIGKILL"):
        await run(tmp_path, a_product(tmp_path / "home", "import os; os.kill(os.getppid(), 9)"))


@pytest.mark.skipif(not landlock.version(), reason="this kernel has no Landlock, or it was not started with it (lsm=landlock)")
async def test_a_command_can_neither_write_outside_nor_read_the_home(tmp_path: Path) -> None:
    """Row 25 of the faults: writing outside the out-folder."""
    home = tmp_path / "home"
    (home / "keys").mkdir(parents=True)
    (home / "keys" / "root.key").write_text("secret")
    program = f"""
        import json, os
        found = []
        def attempt(name, what):
            try:
                what()
                found.append(name)
            except OSError:
                pass
        source = {str(home / "storage" / "deidentified")!r}
        attempt("keys", lambda: open({str(home / "keys" / "root.key")!r}).read())
        attempt("list", lambda: os.listdir({str(home)!r}))
        attempt("home", lambda: open({str(home / "new")!r}, "w"))
        attempt("outside", lambda: open({str(tmp_path / "new")!r}, "w"))
        attempt("source", lambda: open(source + "/s1/a.dcm", "w"))
        attempt("signal", lambda: os.kill({os.getpid()}, 0))
        attempt("inputs", lambda: open(os.environ["MERCURE_IN_DIR"] + "/s1#a.dcm", "w"))
        open(os.environ["MERCURE_OUT_DIR"] + "/result.json", "w").write(json.dumps({{"notes": found}}))
    """
    result = await run(tmp_path, a_product(home, program))
    assert set(result.notes) - {"signal"} == {"inputs"}, "only its own copy of the images"
    if landlock.version() >= 6:
        assert "signal" not in result.notes
    assert not (tmp_path / "new").exists()
    assert (home / "storage/deidentified/s1/a.dcm").read_bytes() == b"\0" * 1000
