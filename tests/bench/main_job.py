"""The main job on a 680-instance study: time from the last instance to the report, and the appliance's memory.

Peers: for the time the same steps by hand (DCMTK's storescp, dcm2niix, a short DIPY script), without quality control,
de-identification, pictures and pages; for the memory four empty Python processes.
"""

import contextlib
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

from appliance.states import OrderState
from tests.bench.figures import Figure, figure, repeated
from tests.journeys.world import World, a_world, ready
from tests.phantoms import PhantomStudy, a_diffusion_study
from tests.servers import HOST, a_storescp, program

RUNS = 3
QUIET_S = 1.0
BY_HAND = """
import sys, glob
import nibabel as nib, numpy as np
from dipy.core.gradients import gradient_table
from dipy.io import read_bvals_bvecs
from dipy.reconst.dti import TensorModel
from dipy.segment.mask import median_otsu
folder = sys.argv[1]
image = nib.load(glob.glob(folder + "/*.nii.gz")[0])
data = image.get_fdata(dtype=np.float32)
bvals, bvecs = read_bvals_bvecs(glob.glob(folder + "/*.bval")[0], glob.glob(folder + "/*.bvec")[0])
_, mask = median_otsu(data, vol_idx=np.flatnonzero(bvals < 50), median_radius=2, numpass=1)
fit = TensorModel(gradient_table(bvals, bvecs=bvecs), fit_method="WLS").fit(data, mask=mask)
for name in ("fa", "md", "ad", "rd"):
    nib.save(nib.Nifti1Image(np.asarray(getattr(fit, name), np.float32), image.affine), f"{folder}/{name}.nii.gz")
"""


def measure() -> list[Figure]:
    """Both sides in turn."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        peaks: list[float] = []
        number = [0]

        def study() -> PhantomStudy:
            number[0] += 1
            target = folder / f"study{number[0]}"
            return a_diffusion_study(target, directions=16, slices=40, shape=(80, 80), seed=number[0])

        with one_appliance(folder) as world:

            def ours() -> float:
                seconds, peak = until_report(world, study())
                peaks.append(peak)
                return seconds

            idle = settled_memory(world)
            mine, theirs = repeated(RUNS, ours, lambda: by_hand(folder / f"hand{number[0]}", study()))
        empty = empty_processes()
    return [
        figure("last instance to report, 680 instances", mine, "storescp, dcm2niix, DIPY script", theirs, "s", "lower"),
        figure("memory of the idle appliance (PSS)", [idle], "four empty Python processes", [empty], "MB", "lower"),
        figure(
            "memory at the peak (PSS)",
            peaks,
            "four empty Python processes",
            [empty] * RUNS,
            "MB",
            "lower",
        ),
    ]


@contextlib.contextmanager
def one_appliance(folder: Path) -> Iterator[World]:
    """Receiver, worker and API, idle."""
    with a_world(folder / "world", {"receive": {"quiet_seconds": int(QUIET_S)}}) as world:
        for word in ("receive", "work", "api"):
            world.start(word)
        ready(world)
        yield world


def until_report(world: World, study: PhantomStudy) -> tuple[float, float]:
    """Seconds from the last acknowledgement to the report, without the quiet time; MB at the peak."""
    known = {row.id for row in world.orders()}
    peak, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            peak[0] = max(peak[0], memory(world))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        world.send(study.folder)
        ended = time.time()
        while not (new := [row for row in world.orders() if row.id not in known]):
            done.wait(0.05)
        world.wait_for(new[0].id, OrderState.DELIVERED, OrderState.REPORTED)
    finally:
        done.set()
        watcher.join()
    return report_seen(world, new[0].id) - ended - QUIET_S, peak[0]


def report_seen(world: World, order: str) -> float:
    """When the report stood in the records, in seconds."""
    (row,) = world.rows("SELECT at FROM events WHERE order_id = {} AND name = 'report-made'", order)
    return int(row["at"]) / 1000


def memory(world: World) -> float:
    """PSS in MB of all processes of the appliance and their children."""
    total = 0
    for child in world.running.values():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            process = psutil.Process(child.pid)
            for one in (process, *process.children(recursive=True)):
                with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                    total += one.memory_full_info().pss
    return total / 1e6


def settled_memory(world: World) -> float:
    """Memory once it no longer changes by more than a megabyte in a second."""
    before, pause = memory(world), threading.Event()
    for _ in range(30):
        pause.wait(1)
        now = memory(world)
        if abs(now - before) < 1:
            return now
        before = now
    return before


def empty_processes() -> float:
    """PSS in MB of four Python processes that do nothing."""
    children = [subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) for _ in range(4)]
    try:
        threading.Event().wait(1)
        return float(sum(psutil.Process(one.pid).memory_full_info().pss for one in children) / 1e6)
    finally:
        for one in children:
            one.communicate(b"\n")


def by_hand(folder: Path, study: PhantomStudy) -> float:
    """Seconds from the last instance at storescp to the maps on disk, by other people's programs."""
    import dcm2niix

    with a_storescp(folder) as scp:
        command = [program("storescu", "dcmtk"), "+sd", "+r", "-aec", scp.ae_title, HOST, str(scp.port), str(study.folder)]
        subprocess.run(command, check=True, capture_output=True, env={"TCP_NODELAY": "1"})
        started = time.monotonic()
        (folder / "nifti").mkdir()
        convert = [dcm2niix.bin, "-z", "y", "-b", "y", "-o", str(folder / "nifti"), str(scp.folder)]
        subprocess.run(convert, check=True, capture_output=True)
        subprocess.run([sys.executable, "-c", BY_HAND, str(folder / "nifti")], check=True, capture_output=True)
        return time.monotonic() - started
