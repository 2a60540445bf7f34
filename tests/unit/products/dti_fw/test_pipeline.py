"""The product `dti-fw` from DICOM files to numbers, on phantoms; its twin on real scanners' studies is below."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from appliance.demo import head
from appliance.products.dti_fw.atlas import AtlasWrong
from appliance.products.dti_fw.regions import slugs
from appliance.products.dti_fw.run import workplace
from appliance.products.manifest import ProductRequest, ProductResult
from appliance.products.run import run
from tests.diffusion import describe_atlas, install_atlas
from tests.phantoms import PhantomStudy, a_diffusion_study

_nibabel: Any = nibabel


def _ignore(share: float, step: str) -> None:
    pass


def _run(
    study: Path, out: Path, data_folder: Path | None = None, progress: Callable[[float, str], None] = _ignore, **more: Any
) -> ProductResult:
    out.mkdir(exist_ok=True)
    request = ProductRequest(
        product="dti-fw",
        in_folder=str(study),
        out_folder=str(out),
        data_folder=str(data_folder) if data_folder else "",
        **more,
    )
    return run(request, progress)


def _values(result: ProductResult) -> dict[str, float]:
    return {one.name: one.value for one in result.values if one.value is not None}


def _phantom_atlas(study: PhantomStudy, folder: Path) -> Path:
    """The phantom's own white matter as a template, and its left and right half as labels, on a grid of its own."""
    (folder / "atlas").mkdir(parents=True)
    truth = study.truth
    assert truth is not None
    white = np.isin(truth.labels, head.WHITE).T.astype(np.float32)  # (column, row, slice)
    column, row, depth = np.indices(white.shape).reshape(3, -1)
    x = (truth.affine @ np.stack([column, row, depth, np.ones_like(column)]))[0].reshape(white.shape)
    labels = np.where(white > 0, np.where(x < -8, 1, np.where(x > 8, 2, 0)), 0).astype(np.int16)
    _nibabel.save(_nibabel.Nifti1Image(white, truth.affine), folder / "atlas" / "template.nii.gz")
    # The labels lie flipped in memory, as another package might store them; only the affine tells.
    flipped = truth.affine @ np.array([[-1, 0, 0, white.shape[0] - 1], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])
    _nibabel.save(_nibabel.Nifti1Image(labels[::-1], flipped), folder / "atlas" / "labels.nii.gz")
    describe_atlas(folder / "atlas", "template.nii.gz", "labels.nii.gz", {"1": "White_matter_L", "2": "White_matter_R"})
    return folder


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> PhantomStudy:
    return a_diffusion_study(tmp_path_factory.mktemp("study") / "in", directions=32, b0=2, snr=25.0)


@pytest.fixture(scope="module")
def finished(study: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> tuple[ProductResult, Path]:
    folder = tmp_path_factory.mktemp("dti-fw")
    data = _phantom_atlas(study, folder / "data")
    return _run(study.folder, folder / "out", data, single_shell_index=True), folder / "out"


@dataclass
class Plain:
    """A run without atlas, model or settings, and what it told on its way."""

    result: ProductResult
    out: Path
    told: list[tuple[float, str]]


@pytest.fixture(scope="module")
def plain(study: PhantomStudy, tmp_path_factory: pytest.TempPathFactory) -> Plain:
    told: list[tuple[float, str]] = []
    out = tmp_path_factory.mktemp("plain") / "out"
    return Plain(_run(study.folder, out, progress=lambda share, step: told.append((share, step))), out, told)


def test_the_white_matter_of_a_phantom_is_right_through_all_steps(finished: tuple[ProductResult, Path]) -> None:
    """PRO-03: FA 0.8 and MD 0.7 were put in, at a signal-to-noise ratio of 25; through denoising, ringing and motion."""
    values = _values(finished[0])
    assert values["fa_median_white_matter"] == pytest.approx(0.8, abs=0.03)
    assert values["md_median_white_matter"] == pytest.approx(0.7, abs=0.03)
    assert values["motion_max_translation"] < 0.7
    assert values["motion_max_rotation"] < 0.7


def test_every_step_has_its_time_and_the_progress_only_grows(plain: Plain) -> None:
    shares = [share for share, _ in plain.told]
    assert shares == sorted(shares)
    assert shares[-1] <= 1.0
    assert list(plain.result.seconds) == [
        *("convert", "choose", "denoise", "ringing", "motion", "mask", "tensor", "free_water", "regions", "draw")
    ]
    assert {"Removing noise", "Removing ringing", "Correcting motion and eddy currents"} <= {step for _, step in plain.told}


def test_regions_are_measured_on_the_sides_that_they_are_named_for(finished: tuple[ProductResult, Path]) -> None:
    """PRO-03: labels stored the other way round in memory still lie on their side of the patient."""
    result, out = finished
    values = _values(result)
    assert values["fa_mean_white_matter_l"] > 0.6
    assert values["fa_mean_white_matter_r"] > 0.6
    image = _nibabel.load(out / next(one for one in result.maps if one.endswith("_regions.nii.gz")))
    regions = np.asarray(image.dataobj)
    for number, sign in ((1, -1), (2, 1)):
        x = np.argwhere(regions == number) @ image.affine[0, :3] + image.affine[0, 3]
        assert (x * sign > 0).mean() > 0.95


def test_the_feature_vector_is_a_row_whose_columns_are_described(finished: tuple[ProductResult, Path]) -> None:
    """PRO-03: as many numbers as names, each with description and unit, the same as in the result."""
    result, out = finished
    with (out / "features.csv").open() as stream:
        names, numbers = csv.reader(stream)
    with (out / "features_columns.csv").open() as stream:
        described = list(csv.DictReader(stream))
    assert [one["column"] for one in described] == names
    assert all(one["description"] for one in described)
    assert len(set(names)) == len(names) == len(numbers)
    values = _values(result)
    assert all(values[name] == pytest.approx(float(number), rel=1e-5) for name, number in zip(names, numbers, strict=True))


def test_one_shell_gives_an_index_with_its_own_name_and_its_limits(finished: tuple[ProductResult, Path]) -> None:
    """PRO-03: never called free-water fraction, never with a tissue-MD map."""
    result, _ = finished
    assert "fw_index_fixed_md_mean_brain" in _values(result)
    assert not any(one.name.startswith(("fw_fraction", "tissue_")) for one in result.values)
    assert not any("tissue_md" in one for one in result.maps)
    assert any("assumes that all tissue has a mean diffusivity of 0.8" in note for note in result.notes)


def test_by_default_one_shell_gives_no_water_no_regions_and_no_prediction(plain: Plain) -> None:
    """PRO-03: what cannot be had is absent, and the report says why."""
    result = plain.result
    assert not any("fw_" in one.name for one in result.values)
    assert any(note.startswith("No free water") for note in result.notes)
    assert "No region values: no atlas is installed." in result.notes
    assert "No prediction index: no model file is installed." in result.notes
    assert not (plain.out / "work").exists()
    assert all((plain.out / name).is_file() for name in [*result.maps, *(one.file for one in result.pictures)])


def test_a_run_that_was_ended_goes_on_after_the_last_whole_step(study: PhantomStudy, plain: Plain, tmp_path: Path) -> None:
    """PRO-05: ended within motion correction, the next attempt neither converts, denoises nor removes ringing again."""

    class Ended(Exception):
        pass

    def end(share: float, step: str) -> None:
        if step.startswith("Correcting"):
            raise Ended

    kept = tmp_path / "kept"
    kept.mkdir()
    with pytest.raises(Ended):
        _run(study.folder, tmp_path / "first", progress=end, kept_folder=str(kept))
    again = _run(study.folder, tmp_path / "out", kept_folder=str(kept))
    assert not {"denoise", "ringing"} & set(again.seconds)
    assert _values(again) == _values(plain.result)


def test_two_shells_give_the_water_and_the_tissue_without_it(tmp_path: Path) -> None:
    """PRO-03: free water and the FA of the tissue through every step, from DICOM, with the maps and pictures that show them."""
    study = a_diffusion_study(
        tmp_path / "in", directions=20, b0=3, bvalue=700.0, second_shell=1400.0, water=0.2, snr=40.0, slices=12
    )
    result = _run(study.folder, tmp_path / "out", single_shell_index=True)
    values = _values(result)
    assert values["fw_fraction_mean_white_matter"] == pytest.approx(0.2, abs=0.04)
    assert values["tissue_fa_mean_white_matter"] == pytest.approx(0.8, abs=0.05)
    assert values["tissue_md_mean_white_matter"] == pytest.approx(0.7, abs=0.06)
    assert values["fa_mean_white_matter"] < values["tissue_fa_mean_white_matter"] - 0.05
    assert "fw_index_fixed_md_mean_white_matter" not in values
    assert {"s3_fw.nii.gz", "s3_tissue_fa.nii.gz", "s3_tissue_md.nii.gz", "s3_fw_flags.nii.gz"} <= set(result.maps)
    assert {"s3_fw.png", "s3_motion.png"} <= {one.file for one in result.pictures}


def test_what_another_attempt_sits_in_is_left_alone(tmp_path: Path) -> None:
    """PRO-05: an attempt that is still being ended elsewhere and its successor do not write into one folder."""
    request = ProductRequest(product="dti-fw", in_folder="", out_folder=str(tmp_path / "out"), kept_folder=str(tmp_path))
    with workplace(request) as first, workplace(request) as second:
        assert (first, second) == (tmp_path / "work", tmp_path / "out" / "work")
        second.mkdir(parents=True)
    assert not second.exists()
    with workplace(request) as third:
        assert third == first


def test_an_atlas_whose_file_was_changed_is_not_used(study: PhantomStudy, tmp_path: Path) -> None:
    data = _phantom_atlas(study, tmp_path / "data")
    labels = data / "atlas" / "labels.nii.gz"
    labels.write_bytes(labels.read_bytes() + b"x")
    with pytest.raises(AtlasWrong, match="SHA-256"):
        _run(study.folder, tmp_path / "out", data)


def test_regions_whose_names_differ_only_in_brackets_have_columns_of_their_own() -> None:
    names = {"35": "Cingulum_(cingulate_gyrus)_R", "37": "Cingulum_(hippocampus)_R", "6": "Fornix_(column_and_body_of_fornix)"}
    assert slugs(names) == {"35": "cingulum_cingulate_gyrus_r", "37": "cingulum_hippocampus_r", "6": "fornix"}


@pytest.mark.long
@pytest.mark.needs_data
def test_a_real_brain_gets_plausible_region_values(real_data: Path, tmp_path: Path) -> None:
    """PRO-03: the corpus callosum and the internal capsule are anisotropic, both sides alike, and no other atlas speaks."""
    data = install_atlas(real_data, tmp_path / "data")
    values = _values(_run(real_data / "philips_achieva_classic_dwi", tmp_path / "out", data))
    for region in ("genu_of_corpus_callosum", "splenium_of_corpus_callosum", "posterior_limb_of_internal_capsule_l"):
        assert 0.4 < values[f"fa_mean_{region}"] < 0.8
        assert 0.5 < values[f"md_mean_{region}"] < 1.1
    for side in ("posterior_limb_of_internal_capsule", "superior_corona_radiata", "external_capsule"):
        assert abs(values[f"fa_mean_{side}_l"] - values[f"fa_mean_{side}_r"]) < 0.1
    assert not any("nigra" in name for name in values)
    assert 1000 < values["volume_brain"] < 1700
