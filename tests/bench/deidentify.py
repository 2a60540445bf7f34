"""De-identification of a diffusion study of 3,900 instances (60 slices, 65 volumes): engine and verifier beside other tools.

Processor time an instance, instances a second and core, peak memory, and what a second process gains. Each instance has 43 KB
with 150 elements, those of a classic Siemens header among them. Peers do unequal work (see each name): the ratios say what the
work costs, not that the results protect alike. For all Python tools, ours included, the start of the interpreter and the first
file are not counted. Slow peers get a tenth of the study. How the peers come here stands in `anonymisers`: Python ones are
installed into a throw-away environment, the others are Debian packages (dcmtk, orthanc, libgdcm-tools).

RANVIER_BENCH_SLICES, RANVIER_BENCH_ROUNDS: smaller, to try it.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from tests.bench import anonymisers
from tests.bench.anonymisers import PROGRAMS, PYTHON_PEERS, Spent, by_program, by_python, fresh, said
from tests.bench.figures import Figure, figure, repeated
from tests.phantoms import a_diffusion_study

ROUNDS = int(os.environ.get("RANVIER_BENCH_ROUNDS", "3"))
SLICES = int(os.environ.get("RANVIER_BENCH_SLICES", "60"))
TENTH = 10
GOALS = {"dcmanon": 1.0, "dicognito": 20.0}
WHOLE = ("copy", "dcmanon")
"""Peers that are fast enough for the whole study."""
OURS = """
import os, sys, tempfile, time
from pathlib import Path
from appliance.deidentify.engine import deidentify
from appliance.deidentify.passport import DeidRequest, SourceFile
from appliance.deidentify.profile import Profile
from appliance.deidentify.search import Search
from appliance.deidentify.verifier import verify
word, source, target, cores = sys.argv[1:]
os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: int(cores)])
names = sorted(Path(source).iterdir())
files = [SourceFile(instance=f"i{n:05d}", series="s", path=str(path)) for n, path in enumerate(names)]
profile, quiet = Profile.of({}), lambda share, step: None
def request(some, out):
    return DeidRequest(order="o", files=some, out_folder=out, pseudonym="p", secret="5a" * 32, section={})
first = tempfile.mkdtemp(dir=os.path.dirname(target))
deidentify(request(files[:1], first), profile, Path(first), quiet)
verify(request(files[:1], first), profile, Path(first), quiet)
searching = 0.0
def timed(function):
    def run(*given, **named):
        global searching
        begun = time.process_time()
        found = function(*given, **named)
        searching += time.process_time() - begun
        return found
    return run
if word == "search":
    Search.hits, Search.equals = timed(Search.hits), timed(Search.equals)
def spent():
    return time.perf_counter() if word.startswith("wall") else sum(os.times()[:4])
began = spent()
if word in ("engine", "wall engine", "both", "wall both"):
    deidentify(request(files, target), profile, Path(target), quiet)
if word not in ("engine", "wall engine"):
    assert not verify(request(files, target), profile, Path(target), quiet).residues
took = searching if word == "search" else spent() - began
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(took, peak)
"""
FRAME: tuple[tuple[int, str, object], ...] = (
    (0x0B, "DS", "92.5"),
    (0x0C, "IS", "1000"),
    (0x0D, "CS", "DIRECTIONAL"),
    (0x0E, "FD", [0.6, 0.8, 0.0]),
    (0x14, "IS", "0\\0\\0"),
    (0x16, "DS", "1.5"),
    (0x18, "IS", "2500"),
)
CPU, RATE = "CPU ms an instance", "instances/s/core"


def measure() -> list[Figure]:
    """Ours and every peer that is installed, in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole = a_diffusion_study(folder / "study", directions=64, slices=SLICES, shape=(128, 128)).files
        for path in whole:
            _with_a_full_header(path)
        part = folder / "tenth"
        part.mkdir()
        for path in whole[::TENTH]:
            os.link(path, part / path.name)
        sources = {1: folder / "study", TENTH: part}
        counts = {1: len(whole), TENTH: len(whole[::TENTH])}
        return [*_against(folder, sources, counts), *_alone(folder, sources[1], len(whole)), *_several(folder, sources[1])]


def _against(folder: Path, sources: dict[int, Path], counts: dict[int, int]) -> list[Figure]:
    python = anonymisers.environment(folder / "environment")
    peaks: dict[str, list[float]] = {}

    def an_instance(word: str, share: int, run: Callable[[Path], Spent]) -> Callable[[], float]:
        def one() -> float:
            spent = run(sources[share])
            peaks.setdefault(word, []).append(spent.mib)
            return spent.seconds / counts[share] * 1000

        return one

    measures = {word: an_instance(word, 1, partial(_engine, word, folder=folder)) for word in ("engine", "both")}
    for word in PYTHON_PEERS:
        if python and anonymisers.has(python, word):
            share = 1 if word in WHOLE else TENTH
            measures[word] = an_instance(word, share, partial(by_python, python, word, folder=folder / "theirs"))
    for word in PROGRAMS:
        if anonymisers.installed(word):
            measures[word] = an_instance(word, TENTH, partial(by_program, word, folder=folder / "theirs"))
    found = dict(zip(measures, repeated(ROUNDS, *measures.values()), strict=True))
    return [*_costs(found), *_peaks(peaks)]


def _engine(word: str, source: Path, folder: Path) -> Spent:
    return _ours(word, source, fresh(folder / "ours"))


def _costs(found: dict[str, list[float]]) -> list[Figure]:
    result = []
    rates = {word: [1000 / one for one in values] for word, values in found.items()}
    for word, what in (PYTHON_PEERS | PROGRAMS).items():
        if word in found:
            goal = GOALS.get(word)
            result.append(figure("engine", found["engine"], what, found[word], CPU, "lower", goal=goal))
            result.append(figure("engine", rates["engine"], what, rates[word], RATE, "higher", goal=goal))
    if "dicognito" in found:
        pair = found["both"], found["dicognito"]
        result.append(figure("engine and verifier together", pair[0], "dicognito", pair[1], CPU, "lower", goal=8.0))
    return result


def _peaks(peaks: dict[str, list[float]]) -> list[Figure]:
    ours = peaks.pop("engine")
    peaks.pop("both")
    named = (PYTHON_PEERS | PROGRAMS).items()
    return [
        figure("peak memory of the engine", ours, what, peaks[word], "MiB", "lower")
        for word, what in named
        if any(peaks.get(word, []))
    ]


def _alone(folder: Path, source: Path, count: int) -> list[Figure]:
    out = fresh(folder / "ours")
    _ours("engine", source, out)
    runs = [_ours("verifier", source, out) for _ in range(ROUNDS)]
    searches = [_ours("search", source, out).seconds / count * 1000 for _ in range(ROUNDS)]
    costs = [one.seconds / count * 1000 for one in runs]
    return [
        figure("verifier, hashes included", costs, "goal of 1 ms", [1.0] * ROUNDS, CPU, "lower", goal=1.0),
        figure("the verifier's search", searches, "goal of 0.06 ms", [0.06] * ROUNDS, CPU, "lower", goal=1.0),
        figure(
            "peak memory of the verifier",
            [one.mib for one in runs],
            "goal of 150 MiB",
            [150.0] * ROUNDS,
            "MiB",
            "lower",
            goal=1.0,
        ),
    ]


def _several(folder: Path, source: Path) -> list[Figure]:
    """Two processes on two cores beside one on one; wall time, so only on a machine that does nothing else."""
    if (os.cpu_count() or 1) < 2:
        print("there is one core; the figures of two processes are left out")
        return []
    result = []
    for word, what in (("wall engine", "engine"), ("wall both", "engine and verifier")):
        one, two = [], []
        for _ in range(ROUNDS):
            one.append(_ours(word, source, fresh(folder / "ours"), cores=1).seconds)
            two.append(_ours(word, source, fresh(folder / "ours"), cores=2).seconds)
        result.append(figure(f"{what}, two processes", two, "one process", one, "s for the study", "lower", goal=1.8))
    load = os.getloadavg()[0]
    print(f"load while two processes were measured: {load:.1f}; {statistics.fmean(two):.1f} s at {time.strftime('%H:%M')}")
    return result


def _ours(word: str, source: Path, out: Path, *, cores: int = 1) -> Spent:
    return said([sys.executable, "-c", OURS, word, source, out, str(cores)])


def _with_a_full_header(path: Path) -> None:
    """Brings a phantom's instance to what a scanner writes: 150 elements, 10 KB of header."""
    dataset = pydicom.dcmread(path)
    for tag in (0x00181041, 0x00181044, 0x00181060, 0x00181063, 0x00181065, 0x00181100, 0x00181316):
        dataset.add_new(tag, "DS", "1.5")
    dataset.BodyPartExamined, dataset.PatientWeight, dataset.TransmitCoilName = "HEAD", "71", "Body"
    dataset.PerformedProcedureStepStartDate, dataset.PerformedProcedureStepStartTime = dataset.StudyDate, "091501"
    dataset.PerformedProcedureStepID, dataset.PerformedProcedureStepDescription = "V88214", "MR BRAIN DTI"
    dataset.ReferencedImageSequence = Sequence([_reference(number) for number in range(3)])
    frame = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
    for element, vr, value in FRAME:
        frame.add_new(element, vr, value)
    text = dataset.private_block(0x0051, "SIEMENS MR HEADER", create=True)
    for element in (0x08, 0x09, 0x0A, 0x0B, 0x0C, 0x0E, 0x0F, 0x11, 0x12, 0x13, 0x16, 0x17, 0x19):
        text.add_new(element, "LO" if element not in (0x12, 0x13, 0x17) else "SH", f"p{element}")
    other = dataset.private_block(0x0029, "SIEMENS MEDCOM HEADER", create=True)
    for element in range(8, 28):
        other.add_new(element, "OB", bytes([element]) * 380)
    dataset.save_as(path)


def _reference(number: int) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.4", f"1.2.3.4.{number}"
    return item
