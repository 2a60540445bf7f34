"""What the image checks see of one converted series: read volume by volume in two passes, never whole in memory."""

import hashlib
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from appliance.qc.images.foreground import foreground
from appliance.qc.images.nifti import Volumes
from appliance.qc.images.tensor import UNKNOWNS, design, solver
from appliance.qc.study import B0_LIMIT

if TYPE_CHECKING:
    from numpy.typing import NDArray

COARSE_MM = 3.6
"""Voxels of the reduced copy in which motion is measured are at least about so large."""
SAMPLE = 12_000
"""So many voxels of the mask stand for all of them where noise is measured."""
FLOOR = 0.03
"""Signal below this share of a slice's b=0 signal counts as this much: logarithms of nothing say nothing."""
LEAST_SLICE_VOXELS = 30


@dataclass(slots=True)
class Scan:
    """One series; arrays are (x, y, z) in voxels of the converted image, volumes first where there are several."""

    image: Path
    affine: "NDArray[np.float64]"
    voxel_mm: tuple[float, float, float]
    grid: tuple[int, int, int]
    bvalues: "NDArray[np.float64]"
    stated_vectors: "NDArray[np.float64]"
    """(volumes, 3), as the table has them."""
    bvectors: "NDArray[np.float64]"
    """(volumes, 3), unit length, zero without weighting; along the voxel axes in FSL's convention."""
    mean_unweighted: "NDArray[np.float32]"
    mean_weighted: "NDArray[np.float32]"
    mask: "NDArray[np.bool_] | None"
    digests: list[list[bytes]]
    """By volume and slice; empty for a slice of one value."""
    slice_logs: "NDArray[np.float64]" = field(default_factory=lambda: np.zeros((0, 0)))
    """(volumes, slices): mean logarithm of the signal in the mask; NaN where the mask has hardly anything."""
    comb: "NDArray[np.float64]" = field(default_factory=lambda: np.zeros(0))
    """By volume: how much neighbouring slices differ, as a share of how much next but one slices do."""
    coarse: "NDArray[np.float32]" = field(default_factory=lambda: np.zeros((0, 0, 0, 0), np.float32))
    """(volumes, x, y, z), block means."""
    coarse_blocks: tuple[int, int, int] = (1, 1, 1)
    sample: "NDArray[np.float32]" = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    """(volumes, voxels)."""
    fitted: "NDArray[np.float32]" = field(default_factory=lambda: np.zeros((UNKNOWNS, 0), np.float32))
    """(7, voxels of the mask): the tensor model of each."""

    @property
    def count(self) -> int:
        """How many volumes there are."""
        return len(self.bvalues)

    @property
    def unweighted(self) -> "NDArray[np.bool_]":
        """Which volumes have no diffusion weighting."""
        return self.bvalues < B0_LIMIT

    @property
    def matrix(self) -> "NDArray[np.float64]":
        """The tensor model's design."""
        return design(self.bvalues, self.bvectors)

    def shells(self) -> list["NDArray[np.intp]"]:
        """The volumes of each weighting, b=0 first; weightings within 100 s/mm2 are one."""
        groups = np.where(self.unweighted, -1, np.round(self.bvalues / 100.0))
        return [np.flatnonzero(groups == one) for one in np.unique(groups)]

    def volume(self, index: int) -> "NDArray[np.float32]":
        """One volume, read again."""
        return Volumes(self.image).volume(index)


def read_table(bvalues: Path, bvectors: Path) -> "tuple[NDArray[np.float64], NDArray[np.float64]] | None":
    """b-values (volumes) and directions (volumes, 3) of FSL's text files; None where they hold anything else."""
    try:
        weights = np.loadtxt(bvalues, ndmin=1).astype(np.float64).ravel()
        vectors = np.loadtxt(bvectors, ndmin=2).astype(np.float64)
    except ValueError:
        return None
    if vectors.shape == (3, len(weights)):
        vectors = vectors.T
    if vectors.shape != (len(weights), 3) or not np.isfinite(weights).all():
        return None
    return weights, vectors


def read_scan(image: Path, bvalues: "NDArray[np.float64]", vectors: "NDArray[np.float64]") -> Scan:
    """Reads a whole image with as many volumes as the table has rows."""
    source = Volumes(image)
    scan = _first_pass(source, image, bvalues, vectors)
    if scan.mask is not None:
        _second_pass(source, scan, scan.mask)
    return scan


def _first_pass(source: Volumes, image: Path, bvalues: "NDArray[np.float64]", vectors: "NDArray[np.float64]") -> Scan:
    length = np.linalg.norm(np.nan_to_num(vectors), axis=1)
    weighted = bvalues >= B0_LIMIT
    unit = np.divide(np.nan_to_num(vectors), length[:, None], out=np.zeros_like(vectors), where=(length > 1e-6)[:, None])
    unit[~weighted] = 0.0
    sums = np.zeros((2, *source.grid), np.float32)
    digests: list[list[bytes]] = []
    for index in range(source.count):
        volume = source.volume(index)
        sums[int(weighted[index])] += volume
        digests.append([_digest(volume[:, :, place]) for place in range(source.grid[2])])
    without, with_weight = sums[0] / max(1, int((~weighted).sum())), sums[1] / max(1, int(weighted.sum()))
    mask = foreground(without if (~weighted).any() else with_weight, with_weight, source.voxel_mm)
    return Scan(image, source.affine, source.voxel_mm, source.grid, bvalues, vectors, unit, without, with_weight, mask, digests)


def _digest(pixels: "NDArray[np.float32]") -> bytes:
    """A slice's fingerprint; a volume lies in memory as in its file (x fastest), so that a slice is one piece of it."""
    if float(pixels.min()) == float(pixels.max()):
        return b""
    return hashlib.sha256(np.ascontiguousarray(pixels.T).data).digest()


def _second_pass(source: Volumes, scan: Scan, mask: "NDArray[np.bool_]") -> None:
    blocks = [max(1, round(COARSE_MM / size)) for size in scan.voxel_mm]
    scan.coarse_blocks = (blocks[0], blocks[1], blocks[2])
    per_slice = mask.sum(axis=(0, 1))
    usable = per_slice >= LEAST_SLICE_VOXELS
    slice_of = np.nonzero(mask)[2]
    floor = _floor(scan, mask, slice_of, per_slice)
    chosen = np.random.default_rng(0).permutation(int(mask.sum()))[:SAMPLE]
    solving = solver(scan.matrix).astype(np.float32)
    fitted = np.zeros((UNKNOWNS, int(mask.sum())), np.float32)
    slice_logs, comb, coarse, sample = [], [], [], []
    for index in range(scan.count):
        volume = source.volume(index)
        inside = volume[mask]
        logs = np.log(np.maximum(inside, floor))
        fitted += solving[:, index, None] * logs[None, :]
        summed = np.bincount(slice_of, weights=logs, minlength=len(per_slice))
        slice_logs.append(np.where(usable, summed / np.maximum(per_slice, 1), np.nan))
        comb.append(_comb(volume, mask))
        coarse.append(reduced(volume, scan.coarse_blocks))
        sample.append(inside[chosen])
    scan.slice_logs, scan.comb = np.array(slice_logs), np.array(comb)
    scan.coarse, scan.sample, scan.fitted = np.array(coarse, np.float32), np.array(sample, np.float32), fitted


def _floor(
    scan: Scan, mask: "NDArray[np.bool_]", slice_of: "NDArray[np.intp]", per_slice: "NDArray[np.intp]"
) -> "NDArray[np.float32]":
    """For each voxel of the mask what its signal counts as at least."""
    reference = scan.mean_unweighted if scan.unweighted.any() else scan.mean_weighted
    means = np.bincount(slice_of, weights=reference[mask], minlength=len(per_slice)) / np.maximum(per_slice, 1)
    found: NDArray[np.float32] = np.maximum(FLOOR * means[slice_of], 1e-3).astype(np.float32)
    return found


def _comb(volume: "NDArray[np.float32]", mask: "NDArray[np.bool_]") -> float:
    both = mask[:, :, :-2] & mask[:, :, 1:-1] & mask[:, :, 2:]
    if not both.any():
        return float("nan")
    first, second, third = (volume[:, :, start : volume.shape[2] - 2 + start][both] for start in range(3))
    apart = float(np.abs(first - third).mean())
    return float((np.abs(first - second).mean() + np.abs(second - third).mean()) / (2 * apart)) if apart > 0 else float("nan")


def reduced(volume: "NDArray[np.float32]", blocks: tuple[int, int, int]) -> "NDArray[np.float32]":
    """Means of whole blocks; what is left over at the far edges is cut off."""
    if blocks == (1, 1, 1):
        return volume
    cut = volume[tuple(slice(size // block * block) for size, block in zip(volume.shape, blocks, strict=True))]
    corners = list(product(*(range(block) for block in blocks)))
    found = np.zeros([size // block for size, block in zip(volume.shape, blocks, strict=True)], np.float32, order="F")
    for corner in corners:
        found += cut[tuple(slice(start, None, step) for start, step in zip(corner, blocks, strict=True))]
    return found / np.float32(len(corners))
