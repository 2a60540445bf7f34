"""The weighted least-squares tensor with eigenvectors and clipping on a real brain, beside DIPY and MRtrix3."""

import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from appliance.products.dti_fw.wls import fit_tensors
from tests.bench.figures import Figure, figure, repeated
from tests.bench.peers import brain, cpu, cpu_of, have, load, save

ROUNDS = 5


def measure() -> list[Figure]:
    """Both peers in turn with ours; DIPY in double precision as ours is."""
    from dipy.core.gradients import gradient_table
    from dipy.reconst.dti import TensorModel

    pixels, bvalues, bvectors, affine = brain()
    mask = pixels[..., 0] > np.percentile(pixels[..., 0], 75)
    rows = pixels[mask].astype(np.float64)
    columns = np.ascontiguousarray(rows.T.astype(np.float32))
    dipy_model: Any = TensorModel
    model = dipy_model(gradient_table(bvalues, bvecs=bvectors, b0_threshold=50), fit_method="WLS")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        image = save(folder / "dwi.nii", pixels, affine)
        save(folder / "mask.nii", mask.astype(np.uint8), affine)
        np.savetxt(folder / "bvecs", bvectors.T)
        np.savetxt(folder / "bvals", bvalues[None])
        fit_tensors(columns, bvalues, bvectors)
        mine, dipy = repeated(
            ROUNDS,
            lambda: cpu(lambda: fit_tensors(columns, bvalues, bvectors).fa()),
            lambda: cpu(lambda: _attributes(model.fit(rows))),
        )
        goal = figure(
            "tensor with eigenvectors, clipping and FA",
            mine,
            "DIPY WLS, float64",
            dipy,
            "CPU s",
            "lower",
            goal=16,
            packages=("dipy", "numpy"),
        )
        found = [goal]
        if have("dwi2tensor"):
            both = repeated(
                ROUNDS, lambda: cpu(lambda: _with_files(folder, image, bvalues, bvectors)), lambda: _mrtrix(folder, image)
            )
            what = "tensor from file to files: FA, MD, eigenvalues, first eigenvector"
            found.append(figure(what, both[0], "MRtrix3 dwi2tensor and tensor2metric", both[1], "CPU s", "lower"))
            both = repeated(
                ROUNDS,
                lambda: cpu(lambda: _with_files(folder, image, bvalues, bvectors)),
                lambda: _mrtrix(folder, image, only_tensor=True),
            )
            what = "the same, against the fit alone"
            found.append(figure(what, both[0], "MRtrix3 dwi2tensor, default iterations", both[1], "CPU s", "lower", goal=2))
            found.append(_agreement(folder, mask))
    return found


def _attributes(fitted: Any) -> object:
    return fitted.evals, fitted.evecs, fitted.fa


def _with_files(folder: Path, image: Path, bvalues: Any, bvectors: Any) -> None:
    """What a warm worker does: reads the series, fits, writes the maps."""
    pixels, mask = load(image), load(folder / "mask.nii") > 0
    signal = np.stack([pixels[..., volume][mask] for volume in range(pixels.shape[3])])
    found = fit_tensors(signal, bvalues, bvectors)
    for name, values in (("fa", found.fa()), ("md", found.md()), ("l", found.values), ("v1", found.vectors[0])):
        out = np.zeros((*values.shape[:-1], *mask.shape), np.float32)
        out[..., mask] = values
        save(folder / f"our_{name}.nii", np.moveaxis(out, 0, -1) if out.ndim == 4 else out)


def _mrtrix(folder: Path, image: Path, *, only_tensor: bool = False) -> float:
    tensor = folder / "tensor.nii"
    mask = folder / "mask.nii"
    table = (folder / "bvecs", folder / "bvals")
    spent = cpu_of("dwi2tensor", "-force", "-quiet", "-nthreads", "0", "-fslgrad", *table, "-mask", mask, image, tensor)
    if only_tensor:
        return spent
    wanted: list[str | Path] = []
    for option, name in (("-fa", "fa"), ("-adc", "md"), ("-value", "l"), ("-vector", "v1")):
        wanted += [option, folder / f"mrtrix_{name}.nii"]
    return spent + cpu_of("tensor2metric", "-force", "-quiet", "-nthreads", "0", "-mask", mask, *wanted, tensor)


def _agreement(folder: Path, mask: Any) -> Figure:
    """Correlation of FA with MRtrix3's; it reweights twice where we and DIPY do once, so they are not equal."""
    ours, theirs = load(folder / "our_fa.nii")[mask], load(folder / "mrtrix_fa.nii")[mask]
    sound = np.isfinite(theirs)
    correlation = float(np.corrcoef(ours[sound], theirs[sound])[0, 1])
    return figure("correlation of FA", [correlation], "MRtrix3 dwi2tensor", [1.0], "", "higher")
