"""Other people's tools that de-identify, each run apart from us: Python ones in a throw-away environment, others as programs.

None is a dependency of ours. The Python ones are installed by the bench into an environment below its own folder (`pip
install` of the names in `PACKAGES`), or are taken from the one that RANVIER_BENCH_PEERS names; the programs are Debian's
(packages dcmtk, orthanc, libgdcm-tools). What is missing is named, and its figures are left out.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import urllib.request
from pathlib import Path
from typing import NamedTuple

from tests.bench.peers import cpu_of, have
from tests.servers import an_orthanc

PACKAGES = ("pydicom", "dicognito", "dicom-anonymizer", "deid", "dcmanon")
MODULES = {"dicom-anonymizer": "dicomanonymizer", "copy": "shutil"}
PYTHON = """
import os, sys
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
    import shutil
    work = shutil.copyfile
work(names[0], Path(target) / names[0].name)
def spent():
    return sum(os.times()[:4])
began = spent()
for path in names:
    work(path, Path(target) / path.name)
peak = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(spent() - began, peak)
"""
PYTHON_PEERS = {
    "copy": "plain file copy, the floor",
    "dcmanon": "dcmanon (Rust; the b-value is lost)",
    "pydicom": "pydicom, read, edit six values, write",
    "dicognito": "dicognito",
    "dicom-anonymizer": "dicom-anonymizer",
    "deid": "deid",
}
PROGRAMS = {
    "dcmodify": "dcmodify (DCMTK), twelve attributes and private ones, start included",
    "gdcmanon": "gdcmanon --dumb (GDCM), twelve attributes, UIDs stay, start included",
    "Orthanc": "Orthanc's anonymise of the study, storing of the copy included",
}
_ATTRIBUTES = (
    "0010,0010 0010,0020 0010,0030 0010,1040 0010,2154 0010,4000 0008,0050 0008,0080 0008,0081 0008,0090 0008,1070 0040,0275"
)
_TICKS = os.sysconf("SC_CLK_TCK")


class Spent(NamedTuple):
    """What one run took."""

    seconds: float
    """Of processor time."""
    mib: float
    """Peak memory; 0 where it was not measured."""


def environment(folder: Path) -> Path | None:
    """The interpreter of an environment with the Python peers; None when they cannot be installed."""
    named = os.environ.get("RANVIER_BENCH_PEERS", "")
    if named:
        return Path(named) / "bin" / "python"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = folder / "bin" / "python"
    done = subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], capture_output=True, text=True)
    if done.returncode:
        print("the Python peers cannot be installed; their figures are left out")
        return None
    return python


def has(python: Path | None, word: str) -> bool:
    """Whether an environment has a peer; says so where not."""
    module = MODULES.get(word, word)
    if python and not subprocess.run([python, "-c", f"import {module}"], capture_output=True).returncode:
        return True
    print(f"{word} is not installed; its figures are left out")
    return False


def by_python(python: Path, word: str, source: Path, folder: Path) -> Spent:
    """A Python peer on all files of a folder; its start and its first file are not counted."""
    return said([python, "-c", PYTHON, word, source, fresh(folder)])


def said(command: list[str | Path], environ: dict[str, str] | None = None) -> Spent:
    """What a program prints about itself as its last two words: seconds and KiB."""
    done = subprocess.run([str(one) for one in command], check=True, capture_output=True, text=True, env=environ)
    seconds, peak = done.stdout.split()[-2:]
    return Spent(float(seconds), float(peak) / 1024)


def installed(word: str) -> bool:
    """Whether a Debian program is there; says so where not."""
    return have(word)


def by_program(word: str, source: Path, folder: Path) -> Spent:
    """A Debian program on all files of a folder."""
    if word == "Orthanc":
        return _by_orthanc(source, folder.with_name("orthanc"))
    out = fresh(folder)
    tags = _ATTRIBUTES.split()
    if word == "dcmodify":
        for path in source.iterdir():
            shutil.copyfile(path, out / path.name)
        options = [part for tag in tags for part in ("-ea", f"({tag})")]
        names = [str(path) for path in out.iterdir()]
        return Spent(cpu_of("/usr/bin/dcmodify", "-nb", "-ep", "-gin", "-imt", *options, *names), 0.0)
    options = [part for tag in tags for part in ("--remove", tag)]
    return Spent(cpu_of("gdcmanon", "--dumb", "-r", *options, "-i", source, "-o", out), 0.0)


def fresh(folder: Path) -> Path:
    """A folder beside the named one that nothing was ever in, with all that was written before on disk.

    Nothing is deleted before the end: ext4 steps over recently deleted inodes one by one, under the lock of the directory. That
    costs whoever makes files next up to half a millisecond each, and two processes more than one.
    """
    os.sync()
    return Path(tempfile.mkdtemp(dir=folder.parent, prefix=folder.name + "-"))


def _by_orthanc(source: Path, place: Path) -> Spent:
    folder = fresh(place) / "home"
    with an_orthanc(folder) as server:
        base = f"http://{server.host}:{server.http_port}"
        for path in source.iterdir():
            urllib.request.urlopen(f"{base}/instances", data=path.read_bytes(), timeout=60).close()
        (study,) = server.get("/studies")
        process = _process_of(folder / "orthanc.json")
        before = _seconds(process)
        question = urllib.request.Request(f"{base}/studies/{study}/anonymize", data=b'{"Synchronous": true}', method="POST")
        urllib.request.urlopen(question, timeout=600).close()
        return Spent(_seconds(process) - before, _peak(process))


def _process_of(configuration: Path) -> int:
    wanted = str(configuration).encode()
    for place in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = place.read_bytes().split(b"\0")
        except OSError:
            continue
        if wanted in words and words[0].endswith(b"Orthanc"):
            return int(place.parent.name)
    raise ProcessLookupError("Orthanc")


def _seconds(process: int) -> float:
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _peak(process: int) -> float:
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("VmHWM"))) / 1024
