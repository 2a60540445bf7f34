"""Free-water elimination: the signal of each voxel split into tissue, which has a tensor, and water, which has none.

Model (Pasternak and others, MRM 2009; two shells or more: Hoy and others, NeuroImage 2014):
    signal_i = tissue * exp(-b_i g_i' D g_i) + water * exp(-b_i * WATER)
with the amplitudes `tissue` and `water`, so that S0 is estimated from all volumes and f = water / (tissue + water). It is
linear in both amplitudes; the only bound is water >= 0. The noise floor of magnitude images enters as
sqrt(signal^2 + sigma^2), and a weak prior on the tissue's mean diffusivity, scaled by the noise, decides only where the data
do not. The prior and the floor belong together: the floor alone is worse than neither at a low signal-to-noise ratio.

Fitted by Levenberg and Marquardt's method for a chunk of voxels at once: every entry of the normal matrices is a sum over
volumes with fixed weights, so the matrices of all voxels are one matrix product. Units inside: ms/um2 and um2/ms.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from appliance.products.dti_fw.eigen import decompose
from appliance.products.dti_fw.levenberg import MOST_ITERATIONS, Design, Minimum, Problem, minimise
from appliance.products.dti_fw.start import first_guess
from appliance.products.dti_fw.wls import design as design_exponents
from appliance.products.dti_fw.wls import fractional_anisotropy

if TYPE_CHECKING:
    from numpy.typing import NDArray

WATER = 3.0
"""um2/ms: free water at body temperature."""
PRIOR_MD = 0.8
"""um2/ms: middle of the tissue's mean diffusivity."""
PRIOR_SD = 0.3
"""um2/ms; narrower priors lose at both ends of what tissue does."""
PURE_WATER_MD = 2.7
"""um2/ms: a plain tensor above it leaves no tissue to fit, and the two compartments would change places."""
ALL_WATER = 0.99
UNDETERMINED = 0.9
"""Above this fraction of water the tissue's tensor rests on a tenth of the signal and is not published."""
CHUNK = 2048
EARLY_ITERATIONS = 4
"""After these most voxels are done; the others wait until they fill a chunk."""
NOISE_VOXELS = 1000
"""Their median knows the noise to half a per cent."""
NOISE_ITERATIONS = 8
FITTED, REJECTED, PURE, TISSUE_UNKNOWN = range(4)


@dataclass(frozen=True, slots=True)
class FreeWater:
    """The fit of many voxels; the voxel is the last axis."""

    fraction: "NDArray[np.float32]"
    """Share of the unweighted signal that is free water (a signal fraction, not a volume: T2 is not in the model)."""
    values: "NDArray[np.float64]"
    """(3, voxels): the tissue's eigenvalues in mm2/s from largest to smallest, not below 0."""
    vectors: "NDArray[np.float64]"
    """(3 eigenvalues, 3 axes, voxels)."""
    flags: "NDArray[np.uint8]"
    """`FITTED`; `REJECTED`: no usable signal, all 0; `PURE`: water only, tissue 0; `TISSUE_UNKNOWN`: above `UNDETERMINED`."""
    converged: "NDArray[np.bool_]"
    noise: float
    """Standard deviation of the noise in units of the signal."""
    misfit: float
    """Median over the voxels of the residual variance over the noise's: about 1 where the model describes the data."""

    def fa(self) -> "NDArray[np.float64]":
        """The tissue's fractional anisotropy; 0 where it is not known."""
        return np.where(self.flags == FITTED, fractional_anisotropy(self.values), 0.0)

    def md(self) -> "NDArray[np.float64]":
        """The tissue's mean diffusivity in mm2/s; 0 where it is not known."""
        return np.where(self.flags == FITTED, self.values.mean(axis=0), 0.0)


def fit_free_water(
    signal: "NDArray[np.float32]",
    bvalues: "NDArray[np.float64]",
    bvectors: "NDArray[np.float64]",
    *,
    b0_limit: float = 50.0,
    prior_sd: float | None = PRIOR_SD,
    noise: float | None = None,
    progress: Callable[[float], None] = lambda share: None,
) -> FreeWater:
    """Fits each column of `signal` (volumes, voxels); at least two non-zero shells are the caller's duty.

    b-values in s/mm2; directions (volumes, 3), unit length or zero. `prior_sd` None leaves out the prior and the noise floor:
    plain maximum likelihood for Gaussian noise.
    """
    design = _design(bvalues, bvectors)
    unweighted = bvalues <= b0_limit
    sigma = estimate_noise(signal, bvalues, bvectors, b0_limit) if noise is None else noise
    fit = _Fit(signal.shape[1])
    late = _Late()
    for first in range(0, signal.shape[1], CHUNK):
        part = np.arange(first, min(first + CHUNK, signal.shape[1]))
        chunk, usable, scale = _prepared(signal[:, part[0] : part[-1] + 1], unweighted)
        guess = first_guess(chunk, design.columns, design.water, np.maximum(np.float32(sigma) / scale, np.float32(0.01)))
        fit.flags[part] = np.where(usable, np.where(guess.plain_md > PURE_WATER_MD, PURE, FITTED), REJECTED)
        wanted = np.flatnonzero(fit.flags[part] == FITTED)
        problem = _problem(design, chunk.take(wanted, axis=1), np.float32(sigma) / scale[wanted], prior_sd)
        found = minimise(problem, guess.parameters[:, wanted], EARLY_ITERATIONS)
        fit.take(found, part[wanted], scale[wanted])
        late.add(problem, found, part[wanted], scale[wanted])
        if late.count >= CHUNK:
            late.finish(fit)
        progress(int(part[-1] + 1) / signal.shape[1])
    late.finish(fit)
    return fit.published(sigma, len(signal) - 8)


def estimate_noise(
    signal: "NDArray[np.float32]", bvalues: "NDArray[np.float64]", bvectors: "NDArray[np.float64]", b0_limit: float = 50.0
) -> float:
    """The noise's standard deviation, from the residuals of a plain fit to some voxels spread over all."""
    some = signal[:, :: max(1, signal.shape[1] // NOISE_VOXELS)]
    chunk, usable, scale = _prepared(some, bvalues <= b0_limit)
    design = _design(bvalues, bvectors)
    guess = first_guess(chunk, design.columns, design.water, np.full_like(scale, 0.01))
    wanted = np.flatnonzero(usable & (guess.plain_md <= PURE_WATER_MD))
    if not wanted.size:
        return 0.0
    problem = _problem(design, chunk.take(wanted, axis=1), scale[wanted], None)
    found = minimise(problem, guess.parameters[:, wanted], NOISE_ITERATIONS)
    return float(np.median(np.sqrt(found.squares / max(len(signal) - 8, 1)) * scale[wanted]))


def _design(bvalues: "NDArray[np.float64]", bvectors: "NDArray[np.float64]") -> Design:
    return Design.of(design_exponents(bvalues / 1000.0, bvectors), np.exp(-bvalues / 1000.0 * WATER))


def _prepared(
    signal: "NDArray[np.float32]", unweighted: "NDArray[np.bool_]"
) -> "tuple[NDArray[np.float32], NDArray[np.bool_], NDArray[np.float32]]":
    """A chunk divided by its mean unweighted signal, which voxels can be fitted, and the divisors."""
    chunk = np.array(signal, np.float32, order="C")
    scale = chunk[unweighted].mean(axis=0)
    # A sum that is finite has only finite terms; NaN fails every comparison.
    usable = np.isfinite(np.add.reduce(chunk, axis=0)) & (np.minimum.reduce(chunk, axis=0) >= 0) & (scale > 0)
    # One bright b=0 image among empty ones would pass as tissue without water.
    usable &= np.count_nonzero(chunk, axis=0) >= 7
    if not usable.all():
        chunk[:, ~usable], scale[~usable] = 1.0, 1.0
    chunk *= 1 / scale
    return chunk, usable, scale


def _problem(
    design: Design, signal: "NDArray[np.float32]", relative_noise: "NDArray[np.float32]", prior_sd: float | None
) -> Problem:
    if prior_sd is None:
        return Problem(design, signal, None, None, np.float32(PRIOR_MD))
    variance = relative_noise * relative_noise
    return Problem(design, signal, variance, variance / np.float32(prior_sd**2), np.float32(PRIOR_MD))


class _Late:
    """Voxels that need many iterations, from all chunks: a handful in each chunk would cost as much as all of it."""

    def __init__(self) -> None:
        self._problems: list[Problem] = []
        self._starts: list[NDArray[np.float32]] = []
        self._voxels: list[NDArray[np.intp]] = []
        self._scales: list[NDArray[np.float32]] = []
        self.count = 0

    def add(self, problem: Problem, found: Minimum, voxels: "NDArray[np.intp]", scale: "NDArray[np.float32]") -> None:
        left = np.flatnonzero(~found.converged)
        if left.size:
            self._problems.append(problem.only(left))
            self._starts.append(found.parameters[:, left])
            self._voxels.append(voxels[left])
            self._scales.append(scale[left])
            self.count += left.size

    def finish(self, fit: "_Fit") -> None:
        if self.count:
            start = np.concatenate(self._starts, axis=1)
            found = minimise(Problem.joined(self._problems), start, MOST_ITERATIONS - EARLY_ITERATIONS)
            fit.take(found, np.concatenate(self._voxels), np.concatenate(self._scales))
        self.__init__()  # type: ignore[misc]


class _Fit:
    """What is known of all voxels so far."""

    def __init__(self, count: int) -> None:
        self.parameters = np.zeros((8, count), np.float32)
        self.variance = np.zeros(count, np.float32)
        self.converged = np.ones(count, bool)
        self.flags = np.zeros(count, np.uint8)

    def take(self, found: Minimum, voxels: "NDArray[np.intp]", scale: "NDArray[np.float32]") -> None:
        self.parameters[:, voxels] = found.parameters
        self.variance[voxels] = found.squares * scale * scale
        self.converged[voxels] = found.converged

    def published(self, noise: float, freedom: int) -> FreeWater:
        """Fractions, eigenvalues and flags, with what the data do not determine taken out."""
        tissue, water, flags = np.exp(self.parameters[6]), self.parameters[7], self.flags
        fraction = water / (tissue + water)
        fraction[flags == REJECTED] = 0
        flags[(flags == FITTED) & (fraction > ALL_WATER)] = PURE
        fraction[flags == PURE] = 1
        flags[(flags == FITTED) & (fraction > UNDETERMINED)] = TISSUE_UNKNOWN
        values, vectors = decompose(self.parameters[:6].astype(np.float64) / 1000.0)
        np.maximum(values, 0, out=values)
        without = (flags == REJECTED) | (flags == PURE)
        values[:, without], vectors[:, :, without] = 0, 0
        fitted = flags == FITTED
        known = noise > 0 and freedom > 0 and fitted.any()
        misfit = float(np.median(self.variance[fitted]) / freedom / noise**2) if known else 0.0
        return FreeWater(fraction, values, vectors, flags, self.converged, noise, misfit)
