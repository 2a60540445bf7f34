"""The stages of `dti-fw` on a study of 128 x 128 x 60 x 33, each beside the named tool that does the same, in CPU seconds.

The images are a real brain (conversion: a phantom study of that size, because the real one is NIfTI). Each tool does its stage
on what our stage before left, so that all see the same input. DIPY's motion correction registers volume by volume, each alike:
`MOTION_VOLUMES` of the weighted ones are measured and the figure is that of all. One round: the sum takes many minutes.
"""

import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dcm2niix
import numpy as np

from appliance.products.dti.convert import convert
from appliance.products.dti.mask import brain_mask
from appliance.products.dti_fw.atlas import Image3
from appliance.products.dti_fw.denoise import denoise
from appliance.products.dti_fw.fits import tensor_maps
from appliance.products.dti_fw.gibbs import remove_ringing
from appliance.products.dti_fw.motion import correct
from appliance.products.dti_fw.register import _on_grid, register
from tests.bench.figures import Figure, figure
from tests.bench.peers import brain, cpu, cpu_of, data, have, load, save
from tests.phantoms import a_diffusion_study

MOTION_VOLUMES = 2
QUIET = ("-force", "-quiet", "-nthreads", "0")
PIPELINE = ["center_of_mass", "translation", "rigid", "affine"]
"""Of DIPY's motion correction."""


class Comparison:
    """Stage by stage, ours and the tool's."""

    def __init__(self) -> None:
        self.found: list[Figure] = []
        self.ours = self.theirs = 0.0

    def add(self, stage: str, ours: float, tool: str, theirs: float) -> None:
        self.ours, self.theirs = self.ours + ours, self.theirs + theirs
        one = figure(stage, [ours], tool, [theirs], "CPU s", "lower")
        print(f"{stage}: {ours:.1f} against {theirs:.1f} ({tool})", flush=True)
        self.found.append(one)


def measure() -> list[Figure]:
    """One round over all stages."""
    pixels, bvalues, bvectors, affine = brain()
    size = np.linalg.norm(affine[:3, :3], axis=0)
    voxel_mm = (float(size[0]), float(size[1]), float(size[2]))
    both = Comparison()
    made: dict[str, Any] = {}
    started = time.monotonic()

    def spent(name: str, work: Callable[[], Any]) -> float:
        def kept() -> None:
            made[name] = work()

        return cpu(kept)

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        both.add("conversion", *_conversion(folder))
        rough = brain_mask(pixels[..., bvalues < 50].mean(axis=3), pixels[..., bvalues > 50].mean(axis=3), voxel_mm)
        mask_file = save(folder / "mask.nii", rough.astype(np.uint8), affine)
        raw = save(folder / "raw.nii", pixels, affine)
        ours = spent("denoised", lambda: denoise(pixels, rough).pixels)
        if have("dwidenoise"):
            theirs = cpu_of("dwidenoise", *QUIET, "-mask", mask_file, raw, folder / "denoised.nii")
            both.add("denoising", ours, "MRtrix3 dwidenoise", theirs)
        ours = spent("unrung", lambda: remove_ringing(made["denoised"], rough))
        if have("mrdegibbs"):
            source = save(folder / "source.nii", made["denoised"], affine)
            both.add("ringing", ours, "MRtrix3 mrdegibbs", cpu_of("mrdegibbs", *QUIET, source, folder / "unrung.nii"))
    ours = spent("corrected", lambda: correct(made["unrung"], bvalues, bvectors, rough, affine))
    both.add("motion and eddy currents", ours, "DIPY motion correction", _dipy_motion(made["unrung"], bvalues, affine))
    moved = made["corrected"].pixels
    ours = spent(
        "mask", lambda: brain_mask(moved[..., bvalues < 50].mean(axis=3), moved[..., bvalues > 50].mean(axis=3), voxel_mm)
    )
    both.add("brain mask", ours, "DIPY median_otsu", _dipy_mask(moved, bvalues))
    table = (bvalues, made["corrected"].bvectors)
    ours = spent("tensor", lambda: tensor_maps(moved, table, made["mask"], lambda share: None))
    both.add("tensor", ours, "DIPY WLS", _dipy_tensor(moved, table, made["mask"]))
    wall = time.monotonic() - started
    template = _template()
    fa = Image3(np.where(made["mask"], made["tensor"].fa, 0), affine)
    ours = spent("registration", lambda: register(fa, template))
    both.add("registration", ours, "DIPY affine and SyN", _dipy_registration(fa, template))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(f"peak of this process with its peers {peak:.0f} MB, {wall:.0f} s by the clock before registration", flush=True)
    total = figure("all stages", [both.ours], "the named tools", [both.theirs], "CPU s", "lower", goal=5)
    return [*both.found, total]


def _conversion(folder: Path) -> tuple[float, str, float]:
    study = a_diffusion_study(folder / "study", directions=32, slices=60, shape=(128, 128))
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    ours = cpu(lambda: convert(study.folder, folder / "ours", 600))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    ours += after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    (folder / "theirs").mkdir()
    return ours, "dcm2niix", cpu_of(dcm2niix.bin, "-z", "n", "-o", folder / "theirs", study.folder)


def _dipy_motion(pixels: Any, bvalues: Any, affine: Any) -> float:
    from dipy.align import affine_registration

    weighted = np.flatnonzero(bvalues > 50)
    static = np.ascontiguousarray(pixels[..., int(np.flatnonzero(bvalues <= 50)[0])])

    def some() -> None:
        for volume in weighted[:: max(1, len(weighted) // MOTION_VOLUMES)][:MOTION_VOLUMES]:
            moving = np.ascontiguousarray(pixels[..., volume])
            affine_registration(moving, static, moving_affine=affine, static_affine=affine, pipeline=PIPELINE)

    return cpu(some) / MOTION_VOLUMES * len(weighted)


def _dipy_mask(pixels: Any, bvalues: Any) -> float:
    from dipy.segment.mask import median_otsu

    return cpu(lambda: median_otsu(pixels, vol_idx=np.flatnonzero(bvalues <= 50)))


def _dipy_tensor(pixels: Any, table: Any, mask: Any) -> float:
    from dipy.core.gradients import gradient_table
    from dipy.reconst.dti import TensorModel

    kind: Any = TensorModel
    model = kind(gradient_table(table[0], bvecs=table[1], b0_threshold=50), fit_method="WLS")

    def fit() -> None:
        found = model.fit(pixels, mask=mask)
        for name in ("fa", "md", "ad", "rd", "evecs"):
            getattr(found, name)

    return cpu(fit)


def _template() -> Image3:
    import nibabel

    file = data() / "atlas_mni" / "icbm152_sym09a" / "mni_icbm152_wm_tal_nlin_sym_09a_converted.nii.gz"
    image: Any = nibabel.load(file)
    return Image3(load(file), image.affine)


def _dipy_registration(fa: Image3, template: Image3) -> float:
    """On the same grid of the template as ours."""
    from dipy.align import affine_registration, syn_registration

    fixed, grid = _on_grid(template)
    moving = np.asarray(fa.pixels, np.float32)

    def both() -> None:
        _, matrix = affine_registration(moving, fixed, moving_affine=fa.affine, static_affine=grid, pipeline=PIPELINE)
        syn_registration(
            moving,
            fixed,
            moving_affine=fa.affine,
            static_affine=grid,
            prealign=matrix,
            metric="CC",
            level_iters=[10, 10, 5],
        )

    return cpu(both)
