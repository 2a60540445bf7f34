"""The steps of the product `dti`, in order, with their time and progress."""

import platform
import shutil
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from appliance.errors import Failed
from appliance.products.dti.convert import Conversion, convert
from appliance.products.dti.faults import ConversionFailed, NoDiffusionFound
from appliance.products.dti.manifest import MANIFEST
from appliance.products.dti.mask import brain_mask
from appliance.products.dti.nifti import Volumes, write_map
from appliance.products.dti.pictures import draw
from appliance.products.dti.series import Change, DiffusionSeries, choose
from appliance.products.dti.summary import summarise
from appliance.products.dti.tensor import TensorMaps, fit, mean_images
from appliance.products.manifest import Picture, ProductRequest, ProductResult, Value
from appliance.products.progress import Steps

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEW_SLICES = 10
"""A brain in fewer slices was cut off, or has voxels too long for a tensor; the numbers stand with that note."""


def run(request: ProductRequest, progress: Callable[[float, str], None]) -> ProductResult:
    """Computes tensor maps, numbers and pictures of a de-identified study.

    Writes below `request.out_folder`, for each series `<s><series number>_{fa,md,ad,rd,v1,mask}.nii.gz` and its pictures; a
    conversion left there by an earlier attempt on the same files is used again. Raises the errors of `faults.py`.
    """
    out_folder = Path(request.out_folder)
    work = out_folder / "work"
    steps = Steps(MANIFEST, progress)
    with steps.step("convert"):
        conversion = convert(Path(request.in_folder), work, timeout_s=MANIFEST.timeout_s / 2)
    with steps.step("choose"):
        chosen, notes = _choose(work, conversion, request.gradient_changes)
    if conversion.status != 0:
        notes.insert(0, "The converter could not read all of the images; the series used are complete in themselves.")
    values: list[Value] = []
    pictures: list[Picture] = []
    maps: list[str] = []
    for position, series in enumerate(chosen):
        prefix = f"series{series.name[1:]}_" if position else ""
        try:
            made = _process(series, out_folder, steps, 1.0 / len(chosen), prefix)
        except Failed as fault:
            if position == 0:
                raise
            # The primary series has its result; a further one that fails must not take it away, and must not go unsaid.
            notes.append(f"Series {series.name[1:]} was not fitted: {fault.what}")
            continue
        values += made[0]
        pictures += made[1]
        maps += made[2]
        notes += [*series.notes, *made[3]]
    shutil.rmtree(work)
    return ProductResult(
        product=MANIFEST.id,
        version=MANIFEST.version,
        title=MANIFEST.title,
        intended_use=MANIFEST.intended_use,
        values=values,
        pictures=pictures,
        maps=maps,
        notes=notes,
        provenance=_provenance(conversion),
        seconds=steps.seconds,
    )


def _choose(work: Path, conversion: Conversion, changes: Mapping[str, Change]) -> tuple[list[DiffusionSeries], list[str]]:
    try:
        return choose(work, MANIFEST.protocol.minimum_directions, MANIFEST.protocol.minimum_b0, changes)
    except NoDiffusionFound as fault:
        if conversion.status == 0:
            raise
        # The diffusion series may be among what could not be converted: do not say that there is none.
        raise ConversionFailed(status=conversion.status, files=conversion.input_files) from fault


def _process(
    series: DiffusionSeries, out_folder: Path, steps: Steps, part: float, prefix: str
) -> tuple[list[Value], list[Picture], list[str], list[str]]:
    """Values, pictures, map files and notes of one series."""
    source = Volumes(series.image)
    affine, voxel_mm = source.affine, source.voxel_mm
    with steps.step("mask", part):
        b0, weighted = mean_images(series)
        mask = brain_mask(b0, weighted, voxel_mm)
    with steps.step("fit", part) as told:
        tensor = fit(series, mask, float(b0[mask].max()), told)
    with steps.step("summarise", part):
        values = summarise(series, tensor, mask, voxel_mm, prefix)
        maps = _write_maps(series, tensor, mask, affine, out_folder)
    with steps.step("draw", part):
        pictures = draw(series, b0, tensor, mask, affine, out_folder)
    return values, pictures, maps, _remarks(series, tensor, mask)


def _remarks(series: DiffusionSeries, tensor: TensorMaps, mask: "NDArray[np.bool_]") -> list[str]:
    notes = []
    slices = mask.shape[2]
    if slices < FEW_SLICES:
        notes.append(f"Series {series.name[1:]} has only {slices} slices; the numbers are of the part that it covers.")
    if tensor.unusable:
        share = 100.0 * tensor.unusable / int(mask.sum())
        notes.append(
            f"Series {series.name[1:]}: {tensor.unusable} voxels ({share:.2f} %) of the mask gave no tensor; they are 0."
        )
    return notes


def _write_maps(
    series: DiffusionSeries,
    tensor: TensorMaps,
    mask: "NDArray[np.bool_]",
    affine: "NDArray[np.float64]",
    out_folder: Path,
) -> list[str]:
    images: dict[str, NDArray[Any]] = {**tensor.scalars(), "v1": tensor.direction, "mask": mask.astype(np.uint8)}
    files = []
    for kind, pixels in images.items():
        file = f"{series.name}_{kind}.nii.gz"
        write_map(out_folder / file, pixels, affine)
        files.append(file)
    return files


def _provenance(conversion: Conversion) -> dict[str, str]:
    libraries = {name: version(name) for name in ("dipy", "nibabel", "numpy", "scipy")}
    return libraries | {
        "dcm2niix": conversion.converter,
        "python": platform.python_version(),
        "fit": "weighted least squares on the uncorrected series",
        "input_sha256": conversion.input_sha256,
        "input_files": str(conversion.input_files),
        "input_bytes": str(conversion.input_bytes),
    }
