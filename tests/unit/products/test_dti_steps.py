"""Single steps of the product `dti`: conversion, choice of volumes, mask, fit."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import nibabel
import numpy as np
import pytest

from appliance.products.dti import convert as conversion
from appliance.products.dti.faults import ConversionTimedOut, FitFailed, NoBrainFound, NoDiffusionFound, TooFewDirections
from appliance.products.dti.mask import brain_mask, otsu
from appliance.products.dti.series import choose
from appliance.products.dti.tensor import fit, to_world
from tests.phantoms import a_small_diffusion_study

_nibabel: Any = nibabel


def _a_converted_series(
    work: Path, name: str, bvalues: Sequence[float], vectors: Sequence[Sequence[float]], image_type: str = "ORIGINAL"
) -> None:
    work.mkdir(exist_ok=True)
    pixels = np.full((4, 4, 4, len(bvalues)), 100, np.int16)
    _nibabel.save(_nibabel.Nifti1Image(pixels, np.eye(4)), work / f"{name}.nii")
    np.savetxt(work / f"{name}.bval", np.array([bvalues]))
    np.savetxt(work / f"{name}.bvec", np.array(vectors).T)
    (work / f"{name}.json").write_bytes(msgspec.json.encode({"ImageType": [image_type, "PRIMARY"]}))


def _spread(count: int) -> list[list[float]]:
    from appliance.demo.head import directions

    return [[float(part) for part in vector] for vector in directions(count)]


ZERO = [0.0, 0.0, 0.0]


def test_an_earlier_conversion_of_the_same_images_is_used_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a_small_diffusion_study(tmp_path / "in")
    first = conversion.convert(tmp_path / "in", tmp_path / "work", 60)

    def must_not_run(*arguments: object) -> tuple[int, str]:
        raise AssertionError("converted again")

    monkeypatch.setattr(conversion, "_run_dcm2niix", must_not_run)
    assert conversion.convert(tmp_path / "in", tmp_path / "work", 60) == first


def test_other_images_are_converted_anew(tmp_path: Path) -> None:
    study = a_small_diffusion_study(tmp_path / "in")
    first = conversion.convert(tmp_path / "in", tmp_path / "work", 60)
    for path in study.files[-6:]:
        path.unlink()
    second = conversion.convert(tmp_path / "in", tmp_path / "work", 60)
    assert second.input_files == first.input_files - 6
    assert len(np.loadtxt(tmp_path / "work" / "s3.bval")) == 6


def test_the_fingerprint_does_not_depend_on_file_names(tmp_path: Path) -> None:
    study = a_small_diffusion_study(tmp_path / "in")
    first = conversion.convert(tmp_path / "in", tmp_path / "one", 60)
    for number, path in enumerate(reversed(study.files)):
        path.rename(path.with_name(f"{number}.dcm"))
    assert conversion.convert(tmp_path / "in", tmp_path / "two", 60).input_sha256 == first.input_sha256


def test_a_conversion_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    a_small_diffusion_study(tmp_path / "in")
    with pytest.raises(ConversionTimedOut):
        conversion.convert(tmp_path / "in", tmp_path / "work", 0.001)


def test_volumes_above_the_tensors_limit_are_left_out_where_a_lower_shell_suffices(tmp_path: Path) -> None:
    vectors = [ZERO, *_spread(8), *_spread(8)]
    _a_converted_series(tmp_path, "s2", [0] + [1000] * 8 + [3000] * 8, vectors)
    chosen, _ = choose(tmp_path, 6, 1)
    assert chosen[0].shells == [1000]
    assert len(chosen[0].used) == 9
    assert "8 volumes with b above 1500" in chosen[0].notes[0]


def test_a_single_high_shell_is_used(tmp_path: Path) -> None:
    _a_converted_series(tmp_path, "s2", [0] + [2500] * 8, [ZERO, *_spread(8)])
    chosen, notes = choose(tmp_path, 6, 1)
    assert (chosen[0].shells, chosen[0].notes, notes) == ([2500], (), [])


def test_a_small_gradient_still_counts_as_unweighted(tmp_path: Path) -> None:
    _a_converted_series(tmp_path, "s2", [1.25] + [930] * 8, [[1.0, 0.0, 0.0], *_spread(8)])
    chosen, _ = choose(tmp_path, 6, 1)
    assert (chosen[0].unweighted.sum(), chosen[0].directions) == (1, 8)
    assert not chosen[0].bvectors[0].any()


def test_opposite_and_repeated_directions_count_once(tmp_path: Path) -> None:
    spread = _spread(5)
    opposite = [[-part for part in vector] for vector in spread]
    _a_converted_series(tmp_path, "s2", [0] + [1000] * 15, [ZERO, *spread, *opposite, *spread])
    with pytest.raises(TooFewDirections) as caught:
        choose(tmp_path, 6, 1)
    assert caught.value.facts["found"] == 5


def test_directions_in_one_plane_do_not_make_a_tensor(tmp_path: Path) -> None:
    angles = np.linspace(0, np.pi, 12, endpoint=False)
    _a_converted_series(tmp_path, "s2", [0] + [1000] * 12, [ZERO, *[[np.cos(a), np.sin(a), 0.0] for a in angles]])
    with pytest.raises(TooFewDirections):
        choose(tmp_path, 6, 1)


def test_derived_series_are_left_out(tmp_path: Path) -> None:
    _a_converted_series(tmp_path, "s2", [0] + [1000] * 8, [ZERO, *_spread(8)], image_type="DERIVED")
    with pytest.raises(NoDiffusionFound) as caught:
        choose(tmp_path, 6, 1)
    assert caught.value.facts["derived"] == 1


def test_the_mask_follows_the_head_in_spite_of_the_coils_shading() -> None:
    x, y, z = np.meshgrid(*[np.arange(size) for size in (60, 60, 30)], indexing="ij")
    radius = np.sqrt(((x - 30) / 22) ** 2 + ((y - 30) / 26) ** 2 + ((z - 15) / 13) ** 2)
    truth = radius < 1
    shaded = (np.where(truth, 300 + 700 * radius**2, 0) + np.random.default_rng(0).rayleigh(20, x.shape)).astype(np.float32)
    found = brain_mask(shaded, shaded, (3.0, 3.0, 4.0))
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.97


def test_empty_images_hold_no_brain() -> None:
    nothing = np.zeros((20, 20, 10), np.float32)
    with pytest.raises(NoBrainFound):
        brain_mask(nothing, nothing, (3.0, 3.0, 3.0))


def test_otsu_finds_the_valley_between_two_hills() -> None:
    chance = np.random.default_rng(1)
    values = np.concatenate([chance.normal(10, 2, 5000), chance.normal(50, 5, 3000)]).astype(np.float32)
    assert 16 < otsu(values) < 36


def test_a_fit_on_empty_volumes_fails_by_name(tmp_path: Path) -> None:
    vectors = [ZERO, *_spread(8)]
    _a_converted_series(tmp_path, "s2", [0] + [1000] * 8, vectors)
    pixels = np.zeros((4, 4, 4, 9), np.int16)
    _nibabel.save(_nibabel.Nifti1Image(pixels, np.eye(4)), tmp_path / "s2.nii")
    chosen, _ = choose(tmp_path, 6, 1)
    with pytest.raises(FitFailed) as caught:
        fit(chosen[0], np.ones((4, 4, 4), bool), 1.0, lambda share: None)
    assert caught.value.facts["percent"] == 100


def test_vectors_in_fsl_convention_turn_to_scanner_axes() -> None:
    vector = np.array([1.0, 0.0, 0.0], np.float32)
    left_handed = np.diag([-3.0, 3.0, 3.0, 1.0])
    right_handed = np.diag([3.0, 3.0, 3.0, 1.0])
    assert np.allclose(to_world(vector, left_handed), [-1, 0, 0])
    assert np.allclose(to_world(vector, right_handed), [-1, 0, 0])
