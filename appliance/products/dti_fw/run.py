"""The steps of the product `dti-fw`, in order."""

import contextlib
import dataclasses
import fcntl
import platform
import shutil
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from appliance.products.dti.convert import Conversion, convert
from appliance.products.dti.faults import ConversionFailed, NoDiffusionFound
from appliance.products.dti.mask import brain_mask
from appliance.products.dti.nifti import Volumes, write_map
from appliance.products.dti.pictures import MD_RANGE, draw, draw_map
from appliance.products.dti.series import TENSOR_LIMIT, DiffusionSeries, choose
from appliance.products.dti.summary import DIFFUSIVITY_UNIT, summarise, white_matter
from appliance.products.dti.tensor import TensorMaps, mean_images
from appliance.products.dti_fw import atlas as atlases
from appliance.products.dti_fw import fits, model, norms
from appliance.products.dti_fw.manifest import MANIFEST
from appliance.products.dti_fw.motion_picture import draw_motion
from appliance.products.dti_fw.regions import Measure, region_values, write_features
from appliance.products.dti_fw.register import labels_on, register
from appliance.products.dti_fw.stages import WHOLE_FOURIER, Prepared, prepare, sidecar
from appliance.products.manifest import Picture, ProductRequest, ProductResult, Value
from appliance.products.progress import Steps

if TYPE_CHECKING:
    from numpy.typing import NDArray

NO_ATLAS = "No region values: no atlas is installed."
FAR_MM, FAR_DEGREES = 5.0, 5.0
"""Motion beyond which the report says so."""


@dataclasses.dataclass(slots=True)
class _Brain:
    """One series on its way through the steps."""

    series: DiffusionSeries
    affine: "NDArray[np.float64]"
    voxel_mm: tuple[float, float, float]
    mask: "NDArray[np.bool_]"
    prepared: Prepared
    b0: "NDArray[np.float32]"
    table: "fits.Table"
    """After correction."""


def run(request: ProductRequest, progress: Callable[[float, str], None]) -> ProductResult:
    """Computes corrected maps, free water, region values and the feature vector of a de-identified study.

    Of several diffusion series the one with most directions is used. Writes below `request.out_folder`; what the long steps
    left in `request.kept_folder` in an earlier attempt on the same files is used again. Raises the errors of `dti.faults`,
    `AtlasWrong`, `NormsWrong`.
    """
    with workplace(request) as work:
        return _run(request, work, progress)


@contextlib.contextmanager
def workplace(request: ProductRequest) -> Iterator[Path]:
    """The folder that outlives an attempt, unless another attempt still sits in it: then one of this attempt's own."""
    own = Path(request.out_folder) / "work"
    if not request.kept_folder:
        yield own
        shutil.rmtree(own)
        return
    with open(Path(request.kept_folder) / "lock", "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield own
            shutil.rmtree(own)
            return
        yield Path(request.kept_folder) / "work"


def _run(request: ProductRequest, work: Path, progress: Callable[[float, str], None]) -> ProductResult:
    out_folder, data_folder = Path(request.out_folder), Path(request.data_folder) if request.data_folder else None
    steps = Steps(MANIFEST, progress)
    atlas = atlases.installed(data_folder) if data_folder else None
    with steps.step("convert"):
        conversion = convert(Path(request.in_folder), work, timeout_s=MANIFEST.timeout_s / 2)
    with steps.step("choose"):
        series, notes = _choose(work, conversion, request)
    brain = _prepared(series, work, steps)
    with steps.step("tensor") as told:
        tensor = fits.tensor_maps(brain.prepared.pixels, brain.table, brain.mask, told)
    with steps.step("free_water") as told:
        water = fits.water_maps(brain.prepared.pixels, brain.table, brain.mask, told)
    index, water_said = _water_said(request, brain, tensor, water)
    labels = _labels(atlas, tensor, brain, steps)
    with steps.step("regions"):
        measures = _measures(tensor, water, brain.mask)
        values = _values(brain, tensor, measures, index)
        if atlas and labels is not None:
            names = atlas.description.names
            values += region_values(labels, names, measures, brain.mask, brain.voxel_mm)
        files = _write_maps(brain, tensor, water, index, labels, out_folder)
        files += write_features(values, out_folder)
        values, said, models = _judged(request, data_folder, values, fits.shells_of(series.bvalues))
    with steps.step("draw"):
        pictures = _pictures(brain, tensor, water, index, out_folder)
    notes += [*series.notes, *water_said, *_remarks(brain, tensor), *([] if atlas else [NO_ATLAS]), *said]
    return ProductResult(
        product=MANIFEST.id,
        version=MANIFEST.version,
        title=MANIFEST.title,
        intended_use=MANIFEST.intended_use,
        values=values,
        pictures=pictures,
        maps=files,
        notes=notes,
        provenance=_provenance(conversion) | _atlas_provenance(atlas) | models,
        seconds=steps.seconds,
    )


def _choose(work: Path, conversion: Conversion, request: ProductRequest) -> tuple[DiffusionSeries, list[str]]:
    wanted = MANIFEST.protocol
    try:
        found, notes = choose(work, wanted.minimum_directions, wanted.minimum_b0, request.gradient_changes, limit=float("inf"))
    except NoDiffusionFound as fault:
        if conversion.status == 0:
            raise
        # The diffusion series may be among what could not be converted: do not say that there is none.
        raise ConversionFailed(status=conversion.status, files=conversion.input_files) from fault
    if conversion.status != 0:
        notes.insert(0, "The converter could not read all of the images; the series used is complete in itself.")
    if len(found) > 1:
        notes = [one for one in notes if not one.startswith("The numbers without a prefix")]
        others = ", ".join(one.name[1:] for one in found[1:])
        notes.append(f"The numbers are of series {found[0].name[1:]}, which has most directions; not used: {others}.")
    return found[0], notes


def _prepared(series: DiffusionSeries, work: Path, steps: Steps) -> _Brain:
    source = Volumes(series.image)
    rough = brain_mask(*mean_images(series), source.voxel_mm)
    prepared = prepare(series, rough, work, steps)
    with steps.step("mask"):
        b0 = prepared.pixels[..., series.unweighted].mean(axis=3)
        mask = brain_mask(b0, prepared.pixels[..., ~series.unweighted].mean(axis=3), source.voxel_mm)
    table = (series.bvalues, np.array(prepared.motion.bvectors))
    return _Brain(series, source.affine, source.voxel_mm, mask, prepared, b0, table)


def _water_said(
    request: ProductRequest, brain: _Brain, tensor: TensorMaps, water: "fits.WaterMaps | None"
) -> "tuple[NDArray[np.float32] | None, list[str]]":
    """The single-shell index where it is asked for and possible, and what the report says of water."""
    if water is not None:
        return None, fits.water_notes(water)
    shells = fits.shells_of(brain.series.bvalues)
    if request.single_shell_index and len(shells) == 1:
        index, limits = fits.single_shell_index(tensor, brain.mask, shells[0])
        return index, [limits]
    return None, ["No free water: it needs two shells with b up to 2500 s/mm2, and the series has not."]


def _labels(atlas: atlases.Atlas | None, tensor: TensorMaps, brain: _Brain, steps: Steps) -> "NDArray[np.int32] | None":
    if atlas is None:
        return None
    from scipy import ndimage

    with steps.step("register"):
        # At the surface FA is high for other reasons than fibres.
        inner = ndimage.binary_erosion(brain.mask, border_value=1)
        fa = atlases.Image3(np.where(inner, tensor.fa, 0), brain.affine)
        return labels_on(fa, atlas.labels, register(fa, atlas.template))


def _measures(tensor: TensorMaps, water: "fits.WaterMaps | None", mask: "NDArray[np.bool_]") -> list[Measure]:
    found = [
        Measure(name, name.upper(), image, "" if name == "fa" else DIFFUSIVITY_UNIT, mask & (tensor.md > 0))
        for name, image in tensor.scalars().items()
    ]
    if water is not None:
        tissue = water.known & (water.flags == 0) & mask
        found += [
            Measure("fw_fraction", "Free water", water.fraction, "", water.known),
            Measure("tissue_fa", "FA of the tissue without water", water.fa, "", tissue),
            Measure("tissue_md", "MD of the tissue without water", water.md, DIFFUSIVITY_UNIT, tissue),
        ]
    return found


def _values(brain: _Brain, tensor: TensorMaps, measures: list[Measure], index: "NDArray[np.float32] | None") -> list[Value]:
    used = fits.for_tensor(brain.table)
    series = dataclasses.replace(
        brain.series,
        used=brain.series.used[used],
        bvalues=brain.series.bvalues[used],
        bvectors=brain.series.bvectors[used],
    )
    values = summarise(series, tensor, brain.mask, brain.voxel_mm, "")
    white = white_matter(tensor, brain.mask)
    places = (("brain", "brain", brain.mask), ("white_matter", "white matter", white))
    shown = [one for one in measures if one.name not in tensor.scalars()]
    if index is not None:
        shown.append(Measure("fw_index_fixed_md", "Free-water index at fixed tissue MD", index, "", brain.mask))
    for measure in shown:
        scale = 1e3 if measure.unit else 1.0
        for place, words, inside in places:
            found = measure.image[inside & measure.known].astype(np.float64) * scale
            if found.size:
                name, label = f"{measure.name}_mean_{place}", f"{measure.label} mean, {words}"
                values.append(Value(name=name, label=label, value=round(float(found.mean()), 4), unit=measure.unit))
    return values + _quality(brain, white)


def _quality(brain: _Brain, white: "NDArray[np.bool_]") -> list[Value]:
    motion, noise = brain.prepared.motion, brain.prepared.noise
    signal = float(np.median(brain.b0[white])) if white.any() else 0.0
    return [
        Value(name="motion_max_translation", label="Largest shift of a volume", value=max(motion.translations_mm), unit="mm"),
        Value(
            name="motion_max_rotation", label="Largest turn of the head", value=max(motion.rotations_degrees), unit="degrees"
        ),
        Value(
            name="snr_b0_white_matter",
            label="Signal to noise, white matter at b=0",
            value=round(signal / noise.sigma, 1) if noise.sigma > 0 else 0.0,
            note="before denoising",
        ),
    ]


def _judged(
    request: ProductRequest, data_folder: Path | None, values: list[Value], shells: list[int]
) -> tuple[list[Value], list[str], dict[str, str]]:
    """Values with z-scores and predictions added, what to say of them, and the models used."""
    if data_folder is None:
        return values, [model.NONE_INSTALLED], {}
    scores, said = norms.z_scores(data_folder, values, request.age_years, request.sex)
    features = {one.name: one.value for one in values if one.value is not None}
    if request.age_years is not None:
        features["age_years"] = request.age_years
    predicted = model.predict(data_folder, features, (MANIFEST.id, MANIFEST.version), shells)
    return [*values, *scores, *predicted.values], [*said, *predicted.notes], predicted.provenance


def _remarks(brain: _Brain, tensor: TensorMaps) -> list[str]:
    notes = []
    acquired = sidecar(brain.series)
    if acquired.partial_fourier < WHOLE_FOURIER:
        notes.append(
            f"The images were taken with partial Fourier ({acquired.partial_fourier:g}); ringing along the phase-encoding axis "
            "is removed less than wholly."
        )
    if (~brain.series.unweighted).sum() < 10:
        notes.append("Motion correction had few directions; volumes were aligned to their shell's mean.")
    motion = brain.prepared.motion
    if max(motion.translations_mm) > FAR_MM or max(motion.rotations_degrees) > FAR_DEGREES:
        notes.append("The patient moved much; look at the maps before using the numbers.")
    high = int((brain.series.bvalues > TENSOR_LIMIT).sum())
    if high and not fits.for_tensor(brain.table).all():
        notes.append(f"{high} volumes with b above {TENSOR_LIMIT:.0f} s/mm2 were left out of the tensor fit.")
    if tensor.unusable:
        notes.append(f"{tensor.unusable} voxels of the mask gave no tensor; they are 0.")
    return notes


def _write_maps(
    brain: _Brain,
    tensor: TensorMaps,
    water: "fits.WaterMaps | None",
    index: "NDArray[np.float32] | None",
    labels: "NDArray[np.int32] | None",
    out_folder: Path,
) -> list[str]:
    images: dict[str, NDArray[Any]] = {**tensor.scalars(), "v1": tensor.direction, "mask": brain.mask.astype(np.uint8)}
    if water is not None:
        images |= {"fw": water.fraction, "tissue_fa": water.fa, "tissue_md": water.md, "fw_flags": water.flags}
    if index is not None:
        images["fw_index_fixed_md"] = index
    if labels is not None:
        images["regions"] = np.where(brain.mask, labels, 0).astype(np.int16)
    files = []
    for kind, pixels in images.items():
        file = f"{brain.series.name}_{kind}.nii.gz"
        write_map(out_folder / file, pixels, brain.affine)
        files.append(file)
    return files


def _pictures(
    brain: _Brain,
    tensor: TensorMaps,
    water: "fits.WaterMaps | None",
    index: "NDArray[np.float32] | None",
    out_folder: Path,
) -> list[Picture]:
    name = f"series {brain.series.name[1:]}"
    pictures = draw(brain.series, brain.b0, tensor, brain.mask, brain.affine, out_folder)
    more: list[tuple[str, str, str, NDArray[np.float32], tuple[float, float]]] = []
    if water is not None:
        more = [
            ("fw", "Free-water fraction", "free water", water.fraction, (0.0, 1.0)),
            ("tissue_fa", "FA of the tissue without water", "FA of tissue", water.fa, (0.0, 1.0)),
            ("tissue_md", "MD of the tissue without water", "MD of tissue 10^-3 mm2/s", water.md * 1e3, MD_RANGE),
        ]
    elif index is not None:
        more = [("fw_index", "Free-water index at fixed tissue MD", "index at fixed tissue MD", index, (0.0, 1.0))]
    for kind, title, legend, image, scale in more:
        file = f"{brain.series.name}_{kind}.png"
        draw_map(image, brain.mask, brain.affine, legend, scale, out_folder / file)
        pictures.append(Picture(file=file, title=f"{title}, {name}"))
    moved = brain.prepared.motion
    file = f"{brain.series.name}_motion.png"
    draw_motion(moved.translations_mm, moved.rotations_degrees, (FAR_MM, FAR_DEGREES), out_folder / file)
    return [*pictures, Picture(file=file, title=f"Motion of the head, volume by volume, {name}")]


def _provenance(conversion: Conversion) -> dict[str, str]:
    libraries = {name: version(name) for name in ("dipy", "nibabel", "numpy", "scipy")}
    return libraries | {
        "dcm2niix": conversion.converter,
        "python": platform.python_version(),
        "fit": "weighted least squares on the corrected series; free water by maximum a posteriori with a noise floor",
        "input_sha256": conversion.input_sha256,
        "input_files": str(conversion.input_files),
        "input_bytes": str(conversion.input_bytes),
    }


def _atlas_provenance(atlas: atlases.Atlas | None) -> dict[str, str]:
    if atlas is None:
        return {}
    about = atlas.description
    return {"atlas": f"{about.name} {about.version}", "atlas licence": about.licence}
