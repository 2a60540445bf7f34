"""Signals of the diffusion models with a known truth, and the semi-synthetic brain with its truth maps."""

import hashlib
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
_nibabel: Any = nibabel
WATER = 3.0e-3


@dataclass(frozen=True, slots=True)
class Voxels:
    """Voxels of one gradient table; diffusivities in mm2/s."""

    signal: NDArray[np.float32]
    """(volumes, voxels)."""
    bvalues: Array
    bvectors: Array
    fraction: Array
    fa: Array
    md: Array

    def some(self, count: int, seed: int = 0) -> "Voxels":
        """A random part of the voxels, the same for each seed."""
        total = self.signal.shape[1]
        kept = np.sort(np.random.default_rng(seed).choice(total, min(count, total), replace=False))
        return Voxels(
            np.ascontiguousarray(self.signal[:, kept]),
            self.bvalues,
            self.bvectors,
            self.fraction[kept],
            self.fa[kept],
            self.md[kept],
        )


def gradients(*shells: tuple[float, int]) -> tuple[Array, Array]:
    """b-values (s/mm2) and directions spread evenly over the sphere, shell by shell."""
    bvalues: list[float] = []
    rows: list[Array] = []
    for bvalue, count in shells:
        index = np.arange(count) + 0.5
        height, turn = 1 - index / count, np.pi * (1 + 5**0.5) * index
        flat = np.sqrt(1 - height**2)
        around = np.stack([flat * np.cos(turn), flat * np.sin(turn), height], axis=1)
        rows.append(around if bvalue > 0 else np.zeros((count, 3)))
        bvalues += [bvalue] * count
    return np.array(bvalues), np.concatenate(rows)


TWO_SHELLS = gradients((0, 4), (700, 16), (1000, 20), (2000, 24))
LOW_SHELLS = gradients((0, 3), (500, 12), (1500, 20))


def eigenvalues(fa: Array, md: Array) -> Array:
    """(3, voxels) of tensors with rotational symmetry."""
    share = fa / np.sqrt(3 - 2 * fa**2)
    return np.stack([md * (1 + 2 * share), md * (1 - share), md * (1 - share)])


def phantom(
    table: tuple[Array, Array],
    *,
    voxels: int,
    snr: float,
    fractions: tuple[float, float] = (0.0, 0.9),
    md: tuple[float, float] = (0.5e-3, 1.1e-3),
    fa: tuple[float, float] = (0.1, 0.9),
    crossing: bool = False,
    seed: int = 1,
) -> Voxels:
    """Random tissue with water, Rician noise; where fibres cross, half of the tissue runs in another random direction."""
    chance = np.random.default_rng(seed)
    bvalues, bvectors = table
    f, true_md, true_fa = (chance.uniform(*limits, voxels) for limits in (fractions, md, fa))
    values = eigenvalues(true_fa, true_md)
    tissue = _attenuation(bvalues, bvectors, values, chance)
    if crossing:
        tissue = (tissue + _attenuation(bvalues, bvectors, values, chance)) / 2
    clean = 1000.0 * (f * np.exp(-bvalues * WATER)[:, None] + (1 - f) * tissue)
    return Voxels(with_noise(clean, 1000.0 / snr, chance), bvalues, bvectors, f, true_fa, true_md)


def _attenuation(bvalues: Array, bvectors: Array, values: Array, chance: np.random.Generator) -> Array:
    fibres = chance.normal(size=(values.shape[1], 3))
    fibres /= np.linalg.norm(fibres, axis=1)[:, None]
    along = (bvectors @ fibres.T) ** 2
    across = (bvectors**2).sum(axis=1)[:, None]
    return np.asarray(np.exp(-bvalues[:, None] * (values[1] * across + (values[0] - values[1]) * along)))


def with_noise(clean: Array, sigma: float, chance: np.random.Generator) -> NDArray[np.float32]:
    """Magnitudes of complex signals with white noise."""
    real = clean + chance.normal(0, sigma, clean.shape)
    return np.asarray(np.hypot(real, chance.normal(0, sigma, clean.shape)), np.float32)


def semi_synthetic(data: Path) -> Voxels:
    """The mask's voxels of the semi-synthetic brain. Its truth has one tissue MD everywhere, which flatters priors."""
    folder = data / "nifti_dwi_multishell_semisynthetic"
    inside = _pixels(folder / "mask.nii.gz") > 0
    fraction, fa, md = (_pixels(folder / f"truth_{one}.nii.gz")[inside] for one in ("fw_fraction", "tissue_fa", "tissue_md"))
    signal = np.ascontiguousarray(_pixels(folder / "dwi.nii.gz")[inside].T.astype(np.float32))
    return Voxels(signal, np.loadtxt(folder / "dwi.bval"), np.loadtxt(folder / "dwi.bvec").T, fraction, fa, md)


def varied(brain: Voxels, *, snr: float = 30.0, seed: int = 2) -> Voxels:
    """The semi-synthetic anatomy simulated anew with tissue MD that varies, grey-like tissue higher than white."""
    chance = np.random.default_rng(seed)
    fa = np.clip(brain.fa, 0.0, 0.95)
    md = np.clip(0.7e-3 + 0.25e-3 * (0.35 - fa) + chance.normal(0, 0.1e-3, fa.shape), 0.45e-3, 1.2e-3)
    tissue = _attenuation(brain.bvalues, brain.bvectors, eigenvalues(fa, md), chance)
    f = brain.fraction
    clean = 1000.0 * (f * np.exp(-brain.bvalues * WATER)[:, None] + (1 - f) * tissue)
    return Voxels(with_noise(clean, 1000.0 / snr, chance), brain.bvalues, brain.bvectors, f, fa, md)


def _pixels(path: Path) -> Array:
    return np.asarray(_nibabel.load(path).dataobj, np.float64)


@dataclass(frozen=True, slots=True)
class Errors:
    """How far a free-water fit is from the truth; FA and MD where the truth has less than 0.9 water, MD in um2/ms."""

    fraction: float
    fa: float
    md: float
    correlation: float
    by_fraction: dict[str, float]


RANGES = ((0.0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 0.9), (0.9, 1.01))


def errors(truth: Voxels, fraction: Any, fa: Any, md: Any) -> Errors:
    """Mean absolute errors of a fit to `truth`."""
    known = truth.fraction < 0.9
    off = np.abs(fraction - truth.fraction)
    parts = {
        f"{low:g}-{min(high, 1):g}": float(off[inside].mean())
        for low, high in RANGES
        if (inside := (truth.fraction >= low) & (truth.fraction < high)).sum() >= 20
    }
    return Errors(
        float(off.mean()),
        float(np.abs(fa - truth.fa)[known].mean()),
        float(np.abs(md - truth.md)[known].mean() * 1e3),
        float(np.corrcoef(fraction, truth.fraction)[0, 1]),
        parts,
    )


def dipy_free_water(voxels: Voxels, method: str) -> tuple[Any, Any, Any]:
    """Fraction, FA and MD by DIPY's free-water model, `WLS` or `NLS`."""
    from dipy.core.gradients import gradient_table
    from dipy.reconst.fwdti import FreeWaterTensorModel

    table = gradient_table(voxels.bvalues, bvecs=voxels.bvectors, b0_threshold=50)
    model: Any = FreeWaterTensorModel
    fitted = model(table, fit_method=method).fit(np.asarray(voxels.signal.T, np.float64))
    return np.asarray(fitted.f), np.asarray(fitted.fa), np.asarray(fitted.md)


def dipy_tensor(voxels: Voxels) -> Any:
    """DIPY's weighted least-squares fit in double precision."""
    from dipy.core.gradients import gradient_table
    from dipy.reconst.dti import TensorModel

    table = gradient_table(voxels.bvalues, bvecs=voxels.bvectors, b0_threshold=50)
    model: Any = TensorModel
    return model(table, fit_method="WLS").fit(np.asarray(voxels.signal.T, np.float64))


@dataclass(frozen=True, slots=True)
class Block:
    """A piece of brain without and with noise, (x, y, z, volumes)."""

    clean: NDArray[np.float32]
    noisy: NDArray[np.float32]
    inside: NDArray[np.bool_]
    sigma: float


def a_block(data: Path, *, sigma: float = 40.0) -> Block:
    """The middle of the semi-synthetic brain with fibres that turn smoothly, 32 x 32 x 12 x 64."""
    folder = data / "nifti_dwi_multishell_semisynthetic"
    part = (slice(16, 48), slice(16, 48))
    f, fa = (_pixels(folder / f"truth_{one}.nii.gz")[part] for one in ("fw_fraction", "tissue_fa"))
    inside = _pixels(folder / "mask.nii.gz")[part] > 0
    clean = turning_fibres(f, np.clip(fa, 0, 0.95), np.loadtxt(folder / "dwi.bval"), np.loadtxt(folder / "dwi.bvec").T)
    clean *= np.where(inside, 1.0, 0.1)[..., None]
    return Block(clean.astype(np.float32), with_noise(clean, sigma, np.random.default_rng(5)), inside, sigma)


def turning_fibres(fraction: Array, fa: Array, bvalues: Array, bvectors: Array, md: float = 0.7e-3) -> Array:
    """(x, y, z, volumes) without noise: fibre directions change smoothly over the image."""
    x, y, z = np.indices(fraction.shape) / 16.0
    fibres = np.stack([np.sin(y), np.cos(x), np.sin(z + x)], axis=-1)
    fibres /= np.linalg.norm(fibres, axis=-1)[..., None]
    values = eigenvalues(fa, np.full(fa.shape, md))
    radial, more = values[1][..., None], (values[0] - values[1])[..., None]
    tissue = np.exp(-bvalues * (radial + more * (fibres @ bvectors.T) ** 2))
    share = fraction[..., None]
    return np.asarray(1000.0 * (share * np.exp(-bvalues * WATER) + (1 - share) * tissue))


def install_atlas(data: Path, target: Path, *, labels: str = "JHU-WhiteMatter-labels-1mm_affine-corrected.nii.gz") -> Path:
    """Puts the shared white-matter template and the JHU labels where the product looks for an atlas; gives the data folder."""
    folder = target / "atlas"
    folder.mkdir(parents=True)
    template = "mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz"
    source = data / "atlas_mni"
    shutil.copyfile(source / "icbm152_sym09a" / template, folder / template)
    shutil.copyfile(source / "jhu_and_labels" / labels, folder / labels)
    lines = (source / "jhu_and_labels" / "JHU-WhiteMatter-labels-1mm.nii.txt").read_text().splitlines()
    names = dict(line.split("\t", 1) for line in lines if "\t" in line)
    describe_atlas(folder, template, labels, {number: name.strip() for number, name in names.items() if number != "0"})
    return target


def describe_atlas(folder: Path, template: str, labels: str, names: dict[str, str]) -> None:
    """Writes `atlas.json` for two files of a folder."""
    files = {
        kind: {"file": file, "sha256": hashlib.sha256((folder / file).read_bytes()).hexdigest()}
        for kind, file in (("template", template), ("labels", labels))
    }
    about = {"name": "test atlas", "version": "1", "licence": "for tests", "names": names}
    (folder / "atlas.json").write_text(json.dumps({**about, **files}))
