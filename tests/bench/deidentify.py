"""De-identification of a diffusion study of 3,900 instances: CPU per instance of engine and verifier, beside other tools.

Peers do unequal work (see each name): the ratios say what the work costs, not that the results protect alike. Python peers run
from a virtual environment of their own, named in RANVIER_BENCH_PEERS, because none of them is a dependency of ours:
`pip install pydicom dicognito dicom-anonymizer deid dcmanon`. Slow peers get a tenth of the study.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.bench.figures import Figure, figure, repeated
from tests.bench.peers import cpu_of, have
from tests.phantoms import a_diffusion_study

ROUNDS = 3
TENTH = 10
OURS = """
import resource, sys, time
from pathlib import Path
from appliance.deidentify.engine import deidentify
from appliance.deidentify.passport import DeidRequest, SourceFile
from appliance.deidentify.profile import Profile
from appliance.deidentify.verifier import verify
word, source, target = sys.argv[1:]
names = sorted(Path(source).iterdir())
files = [SourceFile(instance=f"i{n:05d}", series="s", path=str(path)) for n, path in enumerate(names)]
request = DeidRequest(order="o", files=files, out_folder=target, pseudonym="p", secret="5a" * 32, section={})
profile, quiet = Profile.of({}), lambda share, step: None
began = time.process_time()
if word == "engine":
    deidentify(request, profile, Path(target), quiet)
else:
    assert not verify(request, profile, Path(target), quiet).residues
print(time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
THEIRS = """
import resource, shutil, sys, time
from pathlib import Path
word, source, target = sys.argv[1:]
names = sorted(Path(source).iterdir())
if word == "dcmanon":
    from dcmanon import Anonymizer
    tool = Anonymizer()
    work = lambda path, out: out.write_bytes(tool.anonymize(str(path)))
elif word == "dicognito":
    import pydicom
    from dicognito.anonymizer import Anonymizer
    tool = Anonymizer(seed="x")
    def work(path, out):
        dataset = pydicom.dcmread(path)
        tool.anonymize(dataset)
        dataset.save_as(out)
elif word == "dicom-anonymizer":
    from dicomanonymizer import anonymize_dicom_file
    work = lambda path, out: anonymize_dicom_file(str(path), str(out))
elif word == "deid":
    from deid.config import DeidRecipe
    from deid.dicom import replace_identifiers
    recipe = DeidRecipe(deid="dicom")
    def work(path, out):
        replace_identifiers([str(path)], deid=recipe, remove_private=True)[0].save_as(out)
elif word == "pydicom":
    import pydicom
    def work(path, out):
        dataset = pydicom.dcmread(path)
        dataset.remove_private_tags()
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "AccessionNumber", "ReferringPhysicianName"):
            setattr(dataset, keyword, "")
        dataset.save_as(out)
else:
    work = shutil.copyfile
work(names[0], Path(target) / names[0].name)
began = time.process_time()
for path in names:
    work(path, Path(target) / path.name)
print(time.process_time() - began, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
PYTHON_PEERS = (
    ("copy", "plain copy", 1, None),
    ("dcmanon", "dcmanon (Rust; the b-value is lost)", 1, 1.0),
    ("pydicom", "pydicom, read, edit six values, write", TENTH, None),
    ("dicognito", "dicognito", TENTH, 20.0),
    ("dicom-anonymizer", "dicom-anonymizer", TENTH, None),
    ("deid", "deid", TENTH, None),
)
PROGRAMS = (
    ("dcmodify", "dcmodify (DCMTK), twelve attributes and private ones"),
    ("gdcmanon", "gdcmanon --dumb (GDCM), twelve attributes, UIDs stay"),
)
ATTRIBUTES = (
    "0010,0010 0010,0020 0010,0030 0010,1040 0010,2154 0010,4000 0008,0050 0008,0080 0008,0081 0008,0090 0008,1070 0040,0275"
)


def measure() -> list[Figure]:
    """Ours and every peer that is installed, in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = a_diffusion_study(folder / "study", directions=64, slices=60, shape=(128, 128)).files
        part = folder / "tenth"
        part.mkdir()
        for path in whole[::TENTH]:
            os.link(path, part / path.name)
        counts = {1: len(whole), TENTH: len(whole[::TENTH])}
        sources = {1: folder / "study", TENTH: part}
        return [*_against(folder, sources, counts), *_memory(folder, sources[1])]


def _against(folder: Path, sources: dict[int, Path], counts: dict[int, int]) -> list[Figure]:
    measures: dict[str, Callable[[], float]] = {
        "engine": lambda: _ours("engine", sources[1], folder)[0] / counts[1] * 1000,
        "verifier": lambda: _ours("verifier", sources[1], folder)[0] / counts[1] * 1000,
    }
    peers = [one for one in PYTHON_PEERS if _peer_python(one[0])]
    for word, _, share, _ in peers:
        measures[word] = lambda word=word, share=share: _theirs(word, sources[share], folder)[0] / counts[share] * 1000  # type: ignore[misc]
    programs = [one for one in PROGRAMS if have(one[0])]
    for word, _ in programs:
        measures[word] = lambda word=word: _program(word, sources[TENTH], folder) / counts[TENTH] * 1000  # type: ignore[misc]
    found = dict(zip(measures, repeated(ROUNDS, *measures.values()), strict=True))
    both = [one + other for one, other in zip(found["engine"], found["verifier"], strict=True)]
    unit, result = "CPU ms an instance", []
    for word, what, _, goal in peers:
        result.append(figure("engine", found["engine"], what, found[word], unit, "lower", goal=goal))
    for word, what in programs:
        result.append(figure("engine", found["engine"], what, found[word], unit, "lower"))
    if "dicognito" in found:
        result.append(figure("engine and verifier together", both, "dicognito", found["dicognito"], unit, "lower", goal=8.0))
    result.append(
        figure("verifier, hashes included", found["verifier"], "goal of 1 ms", [1.0] * ROUNDS, unit, "lower", goal=1.0)
    )
    return result


def _memory(folder: Path, source: Path) -> list[Figure]:
    engine = _ours("engine", source, folder)[1] / 1024
    verifier = _ours("verifier", source, folder)[1] / 1024
    goal = "goal of 150 MiB"
    return [
        figure("peak memory of the verifier", [verifier], goal, [150.0], "MiB", "lower", goal=1.0),
        figure("peak memory of the engine", [engine], goal, [150.0], "MiB", "lower"),
    ]


def _ours(word: str, source: Path, folder: Path) -> tuple[float, float]:
    out = folder / "ours"
    if word == "engine":
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
    return _said([sys.executable, "-c", OURS, word, str(source), str(out)])


def _theirs(word: str, source: Path, folder: Path) -> tuple[float, float]:
    out = folder / "theirs"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir()
    return _said([_peer_python(word), "-c", THEIRS, word, str(source), str(out)])


def _said(command: list[str]) -> tuple[float, float]:
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seconds, peak = done.stdout.split()[-2:]
    return float(seconds), float(peak)


def _peer_python(word: str) -> str:
    """The interpreter of the peers' environment, if it has this peer; says so where not."""
    named = os.environ.get("RANVIER_BENCH_PEERS", "")
    python = Path(named) / "bin" / "python"
    module = {"copy": "shutil", "dicom-anonymizer": "dicomanonymizer"}.get(word, word)
    if named and python.exists() and not subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode:
        return str(python)
    print(f"{word} is not in RANVIER_BENCH_PEERS; its figures are left out")
    return ""


def _program(word: str, source: Path, folder: Path) -> float:
    out = folder / "theirs"
    shutil.rmtree(out, ignore_errors=True)
    shutil.copytree(source, out)
    tags = ATTRIBUTES.split()
    if word == "dcmodify":
        options = [part for tag in tags for part in ("-ea", f"({tag})")]
        names = [str(path) for path in out.iterdir()]
        return cpu_of("/usr/bin/dcmodify", "-nb", "-ep", "-gin", "-imt", *options, *names)
    options = [part for tag in tags for part in ("--remove", tag)]
    return cpu_of("gdcmanon", "--dumb", "-r", *options, "-i", out, "-o", folder / "theirs_out")
