"""The product `dti` finds in a phantom what was put there."""

import gzip
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import nibabel
import numpy as np
import pydicom
import pytest
from PIL import Image

from appliance.demo import head
from appliance.products.dti.faults import (
    ConversionFailed,
    NoBrainFound,
    NoDiffusionFound,
    NoUnweightedVolume,
    SeriesIncomplete,
    TooFewDirections,
)
from appliance.products.dti.tensor import to_world
from appliance.products.manifest import ProductRequest, ProductResult
from appliance.products.run import run
from tests.phantoms import PhantomStudy, a_diffusion_study, a_mixed_study, a_small_diffusion_study, a_structural_study

_nibabel: Any = nibabel


def _ignore(share: float, step: str) -> None:
    pass


def _run(in_folder: Path, out_folder: Path) -> ProductResult:
    out_folder.mkdir(exist_ok=True)
    return run(ProductRequest(product="dti", in_folder=str(in_folder), out_folder=str(out_folder)), _ignore)


@dataclass(frozen=True)
class Finished:
    study: PhantomStudy
    result: ProductResult
    out_folder: Path

    def value(self, name: str) -> float:
        return next(one.value for one in self.result.values if one.name == name and one.value is not None)

    def map(self, kind: str) -> Any:
        return _nibabel.load(self.out_folder / next(name for name in self.result.maps if name.endswith(f"_{kind}.nii.gz")))

    def tissue(self) -> Any:
        """The truth's labels on the grid of the maps."""
        truth = self.study.truth
        assert truth is not None
        fa = self.map("fa")
        indices = np.indices(fa.shape).reshape(3, -1)
        world = fa.affine @ np.vstack([indices, np.ones(indices.shape[1])])
        column, row, depth = np.rint(np.linalg.inv(truth.affine) @ world).astype(int)[:3]
        return truth.labels[depth, row, column].reshape(fa.shape)


@pytest.fixture(scope="module", params=[0.0, 20.0], ids=["straight", "tilted by 20 degrees"])
def finished(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Finished:
    folder = tmp_path_factory.mktemp("dti")
    study = a_diffusion_study(folder / "in", directions=32, fa=0.8, md=7e-4, tilt_degrees=request.param)
    return Finished(study, _run(folder / "in", folder / "out"), folder / "out")


def test_fa_and_md_of_every_white_matter_are_recovered(finished: Finished) -> None:
    """PRO-03: at a signal-to-noise ratio of 40 the medians lie within 1 % of what was put in."""
    tissue, fa, md = finished.tissue(), finished.map("fa").get_fdata(), finished.map("md").get_fdata()
    for label in head.WHITE:
        assert np.median(fa[tissue == label]) == pytest.approx(0.8, rel=0.01)
        assert np.median(md[tissue == label]) == pytest.approx(7e-4, rel=0.01)


def test_axial_and_radial_diffusivity_are_recovered(finished: Finished) -> None:
    tissue = finished.tissue()
    along, across, _ = head.eigenvalues(0.8, 7e-4)
    white = np.isin(tissue, head.WHITE)
    assert np.median(finished.map("ad").get_fdata()[white]) == pytest.approx(along, rel=0.02)
    assert np.median(finished.map("rd").get_fdata()[white]) == pytest.approx(across, rel=0.03)


def test_grey_matter_is_isotropic_with_its_own_diffusivity(finished: Finished) -> None:
    grey = (finished.tissue() == head.GREY) & (finished.map("mask").get_fdata() > 0)
    assert np.median(finished.map("fa").get_fdata()[grey]) < 0.1
    assert np.median(finished.map("md").get_fdata()[grey]) == pytest.approx(head.GREY_MD, rel=0.02)


def test_fibres_point_where_they_were_laid(finished: Finished) -> None:
    """PRO-03: oblique fibres are found within 2 degrees in scanner coordinates, so no gradient axis is flipped or swapped."""
    image, tissue = finished.map("v1"), finished.tissue()
    world = to_world(np.asarray(image.dataobj), image.affine)
    for label, fibre in head.FIBRES.items():
        right_front_up = np.array(fibre) * [-1, -1, 1]
        agreement = np.abs(world[tissue == label] @ right_front_up)
        assert np.median(agreement) > np.cos(np.deg2rad(2.0))


def test_the_mask_is_the_brain_without_the_scalp(finished: Finished) -> None:
    tissue, mask = finished.tissue(), finished.map("mask").get_fdata() > 0
    brain = (tissue != head.BACKGROUND) & (tissue != head.SCALP)
    assert 2 * (mask & brain).sum() / (mask.sum() + brain.sum()) > 0.95
    assert mask[tissue == head.SCALP].mean() < 0.1


def test_the_numbers_are_those_of_the_maps(finished: Finished) -> None:
    mask = finished.map("mask").get_fdata() > 0
    fa, md = finished.map("fa").get_fdata(), finished.map("md").get_fdata()
    assert finished.value("voxels_brain") == mask.sum()
    assert finished.value("fa_mean_brain") == pytest.approx(fa[mask].mean(), abs=1e-4)
    assert finished.value("md_median_brain") == pytest.approx(np.median(md[mask]) * 1e3, abs=1e-4)
    assert finished.value("fa_median_white_matter") == pytest.approx(0.8, rel=0.01)
    assert finished.value("md_mean_white_matter") == pytest.approx(0.7, rel=0.01)
    assert (finished.value("directions"), finished.value("volumes_used"), finished.value("b_value")) == (32, 33, 1000)
    assert {one.unit for one in finished.result.values if one.name.startswith("md_")} == {"10^-3 mm2/s"}
    assert len({one.name for one in finished.result.values}) == len(finished.result.values)


def test_nothing_of_the_person_is_in_anything_the_product_wrote(finished: Finished) -> None:
    """DEID-11: even on images that still carry an identity, maps, pictures and numbers hold none of it."""
    written = [msgspec.json.encode(finished.result)]
    for path in finished.out_folder.rglob("*"):
        content = path.read_bytes()
        written += [path.name.encode(), gzip.decompress(content) if path.suffix == ".gz" else content]
    everything = b"\n".join(written).lower()
    sought = finished.study.identity_tokens + finished.study.uids
    assert [word for word in sought if word.lower().encode() in everything] == []


def test_only_what_the_result_names_stays_in_the_folder(finished: Finished) -> None:
    named = {*finished.result.maps, *(picture.file for picture in finished.result.pictures)}
    assert {path.name for path in finished.out_folder.iterdir()} == named


def test_pictures_show_the_patients_left_on_the_viewers_right(finished: Finished) -> None:
    """Left fibres run left-right and front-back (red and green), right ones front-back and up-down (green and blue)."""
    picture = next(one for one in finished.result.pictures if one.file.endswith("colour_fa.png"))
    pixels = np.asarray(Image.open(finished.out_folder / picture.file)).astype(float)
    coloured = pixels.max(axis=2) - pixels.min(axis=2) > 60
    columns = np.flatnonzero(coloured.any(axis=0))
    gap = columns[np.flatnonzero(np.diff(columns) > 20)[0]]
    axial = slice(int(columns[0]), int(gap) + 1)
    quarter = (axial.stop - axial.start) // 5
    viewers_left, viewers_right = pixels[:, axial][:, :quarter], pixels[:, axial][:, -quarter:]
    assert viewers_right[..., 0].sum() > 3 * viewers_right[..., 2].sum()
    assert viewers_left[..., 2].sum() > 3 * viewers_left[..., 0].sum()


def test_provenance_names_tools_and_input(finished: Finished) -> None:
    provenance = finished.result.provenance
    assert {"dcm2niix", "dipy", "nibabel", "numpy", "scipy", "python"} <= set(provenance)
    assert all(re.match(r"\d+\.\d+", provenance[name]) for name in ("dcm2niix", "dipy", "nibabel", "numpy", "scipy"))
    assert provenance["input_files"] == str(len(finished.study.files))
    assert re.fullmatch(r"[0-9a-f]{64}", provenance["input_sha256"])


def test_progress_only_grows_and_ends_at_one(tmp_path: Path) -> None:
    a_small_diffusion_study(tmp_path / "in")
    (tmp_path / "out").mkdir()
    told: list[tuple[float, str]] = []
    request = ProductRequest(product="dti", in_folder=str(tmp_path / "in"), out_folder=str(tmp_path / "out"))
    result = run(request, lambda share, step: told.append((share, step)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[0] == 0.0
    assert shares[-1] == pytest.approx(1.0)
    assert set(result.seconds) == {"convert", "choose", "mask", "fit", "summarise", "draw"}


def test_two_runs_on_the_same_images_give_the_same_bytes(tmp_path: Path) -> None:
    a_small_diffusion_study(tmp_path / "in")
    first, second = _run(tmp_path / "in", tmp_path / "one"), _run(tmp_path / "in", tmp_path / "two")
    assert first.values == second.values
    for name in [*first.maps, *(picture.file for picture in first.pictures)]:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_a_volume_with_a_b_value_but_no_direction_is_dropped_and_reported(tmp_path: Path) -> None:
    study = a_diffusion_study(tmp_path / "in", directions=12, vendor="philips", trace_volume=True)
    result = _run(tmp_path / "in", tmp_path / "out")
    done = Finished(study, result, tmp_path / "out")
    assert (done.value("volumes_used"), done.value("directions")) == (13, 12)
    assert any("1 volume was dropped" in note for note in result.notes)
    assert done.value("fa_median_white_matter") == pytest.approx(0.8, rel=0.02)


def test_of_two_series_the_one_with_more_directions_leads_and_both_are_fitted(tmp_path: Path) -> None:
    a_diffusion_study(tmp_path / "in", directions=8, slices=8, series_number=3, fa=0.5)
    a_diffusion_study(tmp_path / "in", directions=12, slices=8, series_number=5, fa=0.8)
    a_diffusion_study(tmp_path / "in", directions=3, slices=8, series_number=7)
    result = _run(tmp_path / "in", tmp_path / "out")
    values = {one.name: one.value for one in result.values}
    assert values["fa_median_white_matter"] == pytest.approx(0.8, rel=0.02)
    assert values["series3_fa_median_white_matter"] == pytest.approx(0.5, rel=0.04)
    assert "Series 7 was left out: volumes with b=0: 1, directions: 3." in result.notes
    assert any("series 5, which has most directions" in note for note in result.notes)
    assert {name.split("_")[0] for name in result.maps} == {"s3", "s5"}


def test_a_structural_series_beside_the_diffusion_is_no_trouble(tmp_path: Path) -> None:
    a_mixed_study(tmp_path / "in")
    result = _run(tmp_path / "in", tmp_path / "out")
    assert {name.split("_")[0] for name in result.maps} == {"s3"}


def test_a_study_without_diffusion_ends_in_no_diffusion_found(tmp_path: Path) -> None:
    a_structural_study(tmp_path / "in")
    with pytest.raises(NoDiffusionFound) as caught:
        _run(tmp_path / "in", tmp_path / "out")
    assert caught.value.facts == {"series": 1, "derived": 0}


def test_a_folder_without_images_ends_in_no_diffusion_found(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "letter.txt").write_text("no DICOM")
    with pytest.raises(NoDiffusionFound):
        _run(tmp_path / "in", tmp_path / "out")


def test_five_directions_are_too_few(tmp_path: Path) -> None:
    a_diffusion_study(tmp_path / "in", directions=5, slices=6)
    with pytest.raises(TooFewDirections) as caught:
        _run(tmp_path / "in", tmp_path / "out")
    assert caught.value.what == "The tensor needs 6 gradient directions; the best series has 5."


def test_a_series_without_b0_says_so(tmp_path: Path) -> None:
    a_diffusion_study(tmp_path / "in", directions=8, slices=6, b0=0)
    with pytest.raises(NoUnweightedVolume):
        _run(tmp_path / "in", tmp_path / "out")


@pytest.mark.parametrize("build", [a_small_diffusion_study, a_mixed_study])
def test_a_missing_slice_ends_in_series_incomplete(tmp_path: Path, build: Callable[[Path], PhantomStudy]) -> None:
    study = build(tmp_path / "in")
    study.files[20].unlink()
    with pytest.raises(SeriesIncomplete) as caught:
        _run(tmp_path / "in", tmp_path / "out")
    assert caught.value.facts == {"series": "3"}


def test_a_broken_series_beside_a_whole_one_is_left_out_with_a_note(tmp_path: Path) -> None:
    a_diffusion_study(tmp_path / "in", directions=8, slices=8, series_number=3)
    broken = a_diffusion_study(tmp_path / "in", directions=12, slices=8, series_number=5)
    broken.files[20].unlink()
    result = _run(tmp_path / "in", tmp_path / "out")
    assert "Series 5 was left out: its slices do not make whole volumes." in result.notes
    assert any("could not read all" in note for note in result.notes)
    assert {name.split("_")[0] for name in result.maps} == {"s3"}


def test_truncated_images_end_in_a_named_error(tmp_path: Path) -> None:
    study = a_small_diffusion_study(tmp_path / "in")
    for path in study.files:
        path.write_bytes(path.read_bytes()[:-600])
    with pytest.raises((ConversionFailed, SeriesIncomplete, NoDiffusionFound)):
        _run(tmp_path / "in", tmp_path / "out")


def _replace_by_noise(study: PhantomStudy) -> None:
    chance = np.random.default_rng(5)
    for path in study.files:
        dataset = pydicom.dcmread(path)
        dataset.PixelData = chance.integers(0, 40, (dataset.Rows, dataset.Columns)).astype("<u2").tobytes()
        dataset.save_as(path)


def test_noise_without_a_head_is_no_brain(tmp_path: Path) -> None:
    _replace_by_noise(a_small_diffusion_study(tmp_path / "in"))
    with pytest.raises(NoBrainFound):
        _run(tmp_path / "in", tmp_path / "out")


def test_a_second_series_that_fails_is_reported_and_leaves_the_first_ones_result(tmp_path: Path) -> None:
    a_diffusion_study(tmp_path / "in", directions=12, slices=8, series_number=3)
    _replace_by_noise(a_diffusion_study(tmp_path / "in", directions=8, slices=8, series_number=5))
    result = _run(tmp_path / "in", tmp_path / "out")
    assert {name.split("_")[0] for name in result.maps} == {"s3"}
    assert any(note.startswith("Series 5 was not fitted: The brain mask holds 0 mL") for note in result.notes)
