"""Marchenko-Pastur denoising of a block with a known clean image, beside DIPY's mppca and MRtrix3's dwidenoise."""

import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from appliance.products.dti_fw.denoise import denoise
from tests.bench.figures import Figure, figure, repeated
from tests.bench.peers import cpu, cpu_of, data, have, load, save
from tests.diffusion import a_block

ROUNDS = 3


def measure() -> list[Figure]:
    """Time in turn, then the error of each against the clean image inside the brain."""
    from dipy.denoise.localpca import mppca

    block = a_block(data())
    results: dict[str, NDArray[np.float32]] = {}

    def ours() -> None:
        results["ours"] = denoise(block.noisy).pixels

    def dipy() -> None:
        results["dipy"] = mppca(block.noisy, patch_radius=2)

    def error(name: str) -> float:
        return float(np.sqrt(((results[name] - block.clean)[block.inside] ** 2).mean()))

    ours()
    with tempfile.TemporaryDirectory() as folder:
        source, target = save(Path(folder) / "noisy.nii", block.noisy), Path(folder) / "mrtrix.nii"
        command = ("dwidenoise", "-force", "-quiet", "-nthreads", "0", "-extent", "5", source, target)
        present = have("dwidenoise")
        mine, theirs, mrtrix = repeated(
            ROUNDS, lambda: cpu(ours), lambda: cpu(dipy), lambda: cpu_of(*command) if present else 0.0
        )
        packages = ("dipy", "numpy", "scipy")
        what, wrong = "denoising of 32 x 32 x 12 x 64", "error of the denoised block (RMSE)"
        found = [
            figure(what, mine, "DIPY mppca", theirs, "CPU s", "lower", goal=8, packages=packages),
            figure(wrong, [error("ours")], "DIPY mppca", [error("dipy")], "", "lower", goal=0.971, packages=packages),
        ]
        if present:
            results["mrtrix"] = load(target)
            found += [
                figure(what, mine, "MRtrix3 dwidenoise -extent 5", mrtrix, "CPU s", "lower", goal=5),
                figure(wrong, [error("ours")], "MRtrix3 dwidenoise -extent 5", [error("mrtrix")], "", "lower"),
            ]
    return found
