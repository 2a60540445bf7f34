"""The batched tensor is DIPY's estimator, and finds what phantoms were made of."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from appliance.products.dti_fw.eigen import decompose
from appliance.products.dti_fw.wls import fit_tensors
from tests.diffusion import Voxels, dipy_tensor, eigenvalues, gradients, phantom

_nibabel: Any = nibabel


def _matrices(packed: Any) -> Any:
    found = np.empty((packed.shape[1], 3, 3))
    for index, (row, column) in enumerate(((0, 0), (0, 1), (1, 1), (0, 2), (1, 2), (2, 2))):
        found[:, row, column] = found[:, column, row] = packed[index]
    return found


def _packed(values: Any, chance: np.random.Generator) -> Any:
    frames, _ = np.linalg.qr(chance.normal(size=(values.shape[1], 3, 3)))
    full = np.einsum("vik,kv,vjk->vij", frames, values, frames)
    return np.stack([full[:, 0, 0], full[:, 0, 1], full[:, 1, 1], full[:, 0, 2], full[:, 1, 2], full[:, 2, 2]])


SPECTRA = {
    "apart": [3.0, 2.0, 1.0],
    "two equal and large": [3.0, 3.0, 1.0],
    "two equal and small": [3.0, 1.0, 1.0],
    "nearly equal": [1.0 + 1e-9, 1.0, 1.0 - 1e-9],
    "all equal": [1.0, 1.0, 1.0],
    "one negative": [2.0, 0.5, -1.0],
    "one much smaller": [1.0, 1e-3, 1e-7],
    "zero": [0.0, 0.0, 0.0],
}


@pytest.mark.parametrize("spectrum", SPECTRA.values(), ids=SPECTRA.keys())
def test_eigenvalues_and_eigenvectors_are_those_of_lapack(spectrum: list[float]) -> None:
    packed = _packed(np.repeat(np.array(spectrum)[:, None], 500, axis=1), np.random.default_rng(3))
    values, vectors = decompose(packed)
    matrices = _matrices(packed)
    assert np.abs(values.T - np.linalg.eigvalsh(matrices)[:, ::-1]).max() < 1e-14 * max(map(abs, spectrum)) + 1e-300
    frames = np.moveaxis(vectors, -1, 0)
    assert np.abs(frames @ np.swapaxes(frames, 1, 2) - np.eye(3)).max() < 1e-12
    rebuilt = np.einsum("vki,kv,vkj->vij", frames, values, frames)
    assert np.abs(rebuilt - matrices).max() < 1e-13 * max(map(abs, spectrum)) + 1e-300


def test_diagonal_tensors_have_the_axes_as_eigenvectors() -> None:
    values, vectors = decompose(np.array([[1.0, 0, 2.0, 0, 0, 3.0]]).T)
    assert values[:, 0].tolist() == [3.0, 2.0, 1.0]
    assert np.abs(vectors[:, :, 0]).tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0]]


def _agree_with_dipy(voxels: Voxels) -> float:
    """Asserts agreement to 1e-6 where DIPY does not clip; gives the share of the other voxels."""
    theirs = dipy_tensor(voxels)
    ours = fit_tensors(voxels.signal, voxels.bvalues, voxels.bvectors)
    least = float(np.asarray(theirs.evals)[:, 2].min())
    raised = np.asarray(theirs.evals)[:, 2] <= least * (1 + 1e-9) if ours.clipped.any() else np.zeros(len(theirs.evals), bool)
    assert np.array_equal(raised, ours.clipped)
    kept = ~raised
    relative = np.abs(ours.values.T - theirs.evals) / theirs.evals
    assert relative[kept].max() < 1e-6
    assert np.abs(ours.fa() - theirs.fa)[kept].max() < 1e-6
    assert np.abs(ours.md() - theirs.md)[kept].max() < 1e-9
    cosines = np.abs(np.einsum("av,va->v", ours.vectors[0], np.asarray(theirs.evecs)[:, :, 0]))
    apart = kept & (theirs.evals[:, 0] - theirs.evals[:, 1] > 1e-6)
    assert cosines[apart].min() > 1 - 1e-9
    return float(raised.mean())


@pytest.mark.parametrize("snr", [10, 20, 40])
def test_a_noisy_phantoms_tensor_is_dipys(snr: float) -> None:
    """PRO-03: the same eigenvalues to 1e-6 wherever DIPY does not clip, and the same voxels clipped."""
    voxels = phantom(gradients((0, 2), (1000, 32)), voxels=5000, snr=snr, fractions=(0, 0.3))
    assert _agree_with_dipy(voxels) < 0.25


def test_voxels_with_empty_volumes_give_dipys_tensor() -> None:
    voxels = phantom(gradients((0, 2), (1000, 32)), voxels=300, snr=30)
    voxels.signal[5, ::3] = 0
    voxels.signal[9, ::7] = -4
    theirs, ours = dipy_tensor(voxels), fit_tensors(voxels.signal, voxels.bvalues, voxels.bvectors)
    assert np.isfinite(ours.values).all()
    assert np.abs(ours.fa() - theirs.fa).max() < 1e-6


@pytest.mark.parametrize("snr", [10, 20, 40])
def test_fa_and_md_without_water_are_recovered(snr: float) -> None:
    """PRO-03: the mean error of FA and MD is what noise explains; without noise it is nothing."""
    table = gradients((0, 2), (1000, 32))
    voxels = phantom(table, voxels=3000, snr=snr, fractions=(0, 0), fa=(0.3, 0.8))
    found = fit_tensors(voxels.signal, voxels.bvalues, voxels.bvectors)
    assert np.abs(found.fa() - voxels.fa).mean() < 1.1 / snr
    assert np.abs(found.md() / voxels.md - 1).mean() < 1.2 / snr
    exact = phantom(table, voxels=50, snr=1e6, fractions=(0, 0))
    found = fit_tensors(exact.signal, exact.bvalues, exact.bvectors)
    assert np.abs(found.values - eigenvalues(exact.fa, exact.md)).max() < 1e-7


@pytest.mark.needs_data
def test_a_real_brains_tensor_is_dipys(real_data: Path) -> None:
    """PRO-03: on a real series 1e-6 holds wherever DIPY does not clip; under 5 % of these voxels it clips."""
    stem = real_data / "nifti_dwi_philips_32dir" / "1201_DT_HIGH_32DIR"
    pixels = np.asarray(_nibabel.load(f"{stem}.nii.gz").dataobj[:, :, 20:36], np.float32)
    inside = pixels[..., 0] > np.percentile(pixels[..., 0], 75)
    signal = np.ascontiguousarray(pixels[inside].T)
    bvectors = np.loadtxt(f"{stem}.bvec").T
    length = np.linalg.norm(bvectors, axis=1)[:, None]
    unit = np.divide(bvectors, length, out=np.zeros_like(bvectors), where=length > 0)
    nothing = np.zeros(signal.shape[1])
    assert _agree_with_dipy(Voxels(signal, np.loadtxt(f"{stem}.bval"), unit, nothing, nothing, nothing)) < 0.05
