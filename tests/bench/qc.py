"""Quality control of a 680-instance and a 3,900-instance study: the header stage and the image stage apart.

Each is timed as the worker runs it, as a child process from start to answer. The peer is dcm2niix on the same study in the
same run, which only converts: the image stage converts with it and then looks at every volume.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

import msgspec

from appliance.qc.finding import Origin, QcImagesRequest, QcReport, QcRequest, SeriesFile
from tests.bench.figures import Figure, figure, repeated
from tests.phantoms import PhantomStudy, a_diffusion_study

SIZES = ((680, 16, 40, (80, 80), 3), (3900, 64, 60, (96, 96), 3))
"""Instances, directions, slices, rows and columns, repetitions."""


def measure() -> list[Figure]:
    """Both sizes."""
    found: list[Figure] = []
    for instances, directions, slices, shape, times in SIZES:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            study = a_diffusion_study(folder / "study", directions=directions, slices=slices, shape=shape)
            assert len(study.files) == instances
            found += _one_size(study, folder, times)
    return found


def _one_size(study: PhantomStudy, folder: Path, times: int) -> list[Figure]:
    files = [SeriesFile(instance=path.stem, series="series-3", path=str(path)) for path in study.files]
    asked = QcRequest(
        order="order-1", files=files, protocols={"dti": {}}, given={"age": Origin(value="45", origin="form")}, switched_off=[]
    )
    reports: list[QcReport] = []

    def headers() -> float:
        seconds, answer = stage("qc", asked)
        reports.append(answer)
        return seconds

    def images() -> float:
        (folder / "qc" / "out").mkdir(parents=True, exist_ok=True)
        request = QcImagesRequest(report=reports[-1], files=files, out_folder=str(folder / "qc" / "out"))
        seconds, answer = stage("qc-images", request)
        assert len(answer.findings) > len(reports[-1].findings)
        return seconds

    ours, more, peer = repeated(times, headers, images, lambda: converting(study, folder / "nifti"))
    count = f"{len(files):,} instances"
    return [
        figure(f"header checks, {count}", ours, "dcm2niix on the same study", peer, "s", "lower", packages=("dcm2niix",)),
        figure(f"image checks, {count}", more, "dcm2niix on the same study", peer, "s", "lower", packages=("dcm2niix",)),
    ]


def stage(name: str, request: msgspec.Struct) -> tuple[float, QcReport]:
    """Seconds of a child process from start to answer, and the answer."""
    started = time.monotonic()
    command = [sys.executable, "-m", "appliance", "stage", name]
    done = subprocess.run(command, input=msgspec.json.encode(request) + b"\n", capture_output=True, check=True)
    seconds = time.monotonic() - started
    lines = [msgspec.json.decode(line) for line in done.stdout.splitlines()]
    answer = next(line["answer"] for line in lines if "answer" in line)
    return seconds, msgspec.convert(answer, QcReport)


def converting(study: PhantomStudy, out: Path) -> float:
    """Seconds of dcm2niix alone, to uncompressed NIfTI as we use it."""
    import dcm2niix

    out.mkdir(exist_ok=True)
    started = time.monotonic()
    command = [dcm2niix.bin, "-g", "i", "-z", "n", "-b", "y", "-w", "1", "-f", "s%s", "-o", str(out), str(study.folder)]
    subprocess.run(command, check=True, capture_output=True)
    return time.monotonic() - started
