"""The free-water index at fixed tissue MD: what one shell can say, which is not the free-water fraction.

With one shell, water and tissue diffusivity cannot be told apart; the index assumes the latter (Pasternak and others, MRM 2009,
the initialisation from MD). It follows partial volumes of fluid; it cannot tell a change of the tissue from a change of water.
"""

from typing import TYPE_CHECKING

import numpy as np

from appliance.products.dti_fw.free_water import WATER

if TYPE_CHECKING:
    from numpy.typing import NDArray

TISSUE_MD = 0.8
"""um2/ms, assumed."""
LIMITS = (
    "The free-water index assumes that all tissue has a mean diffusivity of {md} um2/ms, because the series has one shell "
    "(b = {b} s/mm2). It follows partial volumes of fluid. It is no measurement of the free-water fraction, cannot tell a "
    "change of tissue diffusivity from a change of water, and must not be compared between groups whose tissue may differ."
)


def index_at_fixed_md(md: "NDArray[np.float64]", bvalue: float) -> "NDArray[np.float32]":
    """From a plain tensor's mean diffusivity (mm2/s) and the shell's b-value (s/mm2); between 0 and 1."""
    b = bvalue / 1000.0
    tissue, water = np.exp(-b * TISSUE_MD), np.exp(-b * WATER)
    found: NDArray[np.float32] = np.clip((tissue - np.exp(-b * 1e3 * md)) / (tissue - water), 0, 1).astype(np.float32)
    return found
