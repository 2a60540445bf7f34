"""Free water on the semi-synthetic brain: voxels per CPU second and errors, beside DIPY's WLS and NLS on the same voxels.

Run with one BLAS thread (the peers have one). The errors are also taken on the same anatomy with tissue MD that varies, because
the set's own is one constant, which flatters any prior.
"""

from typing import Any

from appliance.products.dti_fw.free_water import fit_free_water
from tests.bench.figures import Figure, figure, repeated
from tests.bench.peers import cpu, data
from tests.diffusion import Errors, Voxels, dipy_free_water, errors, semi_synthetic, varied

ROUNDS = 5
PEER_VOXELS = 400
ERROR_VOXELS = 4000


def measure() -> list[Figure]:
    """Speed in turn, then errors on one random part of the voxels."""
    brain = semi_synthetic(data())
    few = brain.some(PEER_VOXELS)
    _ours(few)
    mine, wls, nls = repeated(
        ROUNDS,
        lambda: brain.signal.shape[1] / cpu(lambda: _ours(brain)),
        lambda: PEER_VOXELS / cpu(lambda: dipy_free_water(few, "WLS")),
        lambda: PEER_VOXELS / cpu(lambda: dipy_free_water(few, "NLS")),
    )
    unit = "voxels per CPU s"
    found = [
        figure("free water, speed", mine, "DIPY NLS", nls, unit, "higher", goal=300, packages=("dipy", "numpy")),
        figure("free water, speed", mine, "DIPY WLS", wls, unit, "higher", goal=50, packages=("dipy", "numpy")),
    ]
    for name, truth in (("set as given", brain), ("tissue MD varied", varied(brain))):
        some = truth.some(ERROR_VOXELS, seed=4)
        ours = errors(some, *_ours(some))
        for method in ("NLS", "WLS"):
            found += _compared(name, ours, method, errors(some, *dipy_free_water(some, method)))
    return found


def _ours(voxels: Voxels) -> tuple[Any, Any, Any]:
    found = fit_free_water(voxels.signal, voxels.bvalues, voxels.bvectors)
    return found.fraction, found.fa(), found.md()


def _compared(name: str, ours: Errors, method: str, theirs: Errors) -> list[Figure]:
    goal = 1.0 if method == "NLS" else None
    rows = {"f": (ours.fraction, theirs.fraction), "FA": (ours.fa, theirs.fa), "MD (um2/ms)": (ours.md, theirs.md)}
    rows |= {f"f where truth is {part}": (ours.by_fraction[part], theirs.by_fraction[part]) for part in ours.by_fraction}
    found = [
        figure(
            f"mean absolute error of {what}, {name}",
            [mine],
            f"DIPY {method}",
            [peer],
            "",
            "lower",
            goal=goal if "where" not in what else goal and 0.952,
        )
        for what, (mine, peer) in rows.items()
    ]
    correlation = figure(
        f"correlation of f, {name}", [ours.correlation], f"DIPY {method}", [theirs.correlation], "", "higher", goal=goal
    )
    return [*found, correlation]
