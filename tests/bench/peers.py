"""Programs that a bench is measured against: found, or named as missing; run on one thread, with their CPU seconds."""

import os
import resource
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

_nibabel: Any = nibabel
ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "MRTRIX_NTHREADS"), "1")
BRAIN = "nifti_dwi_philips_32dir/1201_DT_HIGH_32DIR"


def have(program: str) -> bool:
    """Whether a program is installed; says so where it is not."""
    if shutil.which(program):
        return True
    print(f"{program} is not installed; its figures are left out (Debian: apt-get install mrtrix3)")
    return False


def data() -> Path:
    """The folder of shared data."""
    named = Path(os.environ.get("RANVIER_DATA") or "../shared/data")
    return named if named.is_absolute() else (Path(__file__).parents[2] / named).resolve()


def cpu(work: Callable[[], object]) -> float:
    """CPU seconds of this process for some work."""
    started = time.process_time()
    work()
    return time.process_time() - started


def cpu_of(*command: str | Path) -> float:
    """CPU seconds of a program and its children; raises `CalledProcessError`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": os.environ.get("HOME", "/"), **ONE_THREAD}
    subprocess.run([str(one) for one in command], check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def load(path: Path) -> NDArray[np.float32]:
    """Pixels of a NIfTI file."""
    return np.asarray(_nibabel.load(path).dataobj, np.float32)


def save(path: Path, pixels: NDArray[Any], affine: NDArray[np.float64] | None = None) -> Path:
    """Writes a NIfTI file."""
    _nibabel.save(_nibabel.Nifti1Image(pixels, np.eye(4) if affine is None else affine), path)
    return path


def brain() -> tuple[NDArray[np.float32], NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """A real brain, 128 x 128 x 60 x 33: pixels, b-values, unit directions, affine."""
    stem = data() / BRAIN
    image = _nibabel.load(f"{stem}.nii.gz")
    bvectors = np.loadtxt(f"{stem}.bvec").T
    length = np.linalg.norm(bvectors, axis=1)[:, None]
    unit = np.divide(bvectors, length, out=np.zeros_like(bvectors), where=length > 0)
    return np.asarray(image.dataobj, np.float32), np.loadtxt(f"{stem}.bval"), unit, image.affine
