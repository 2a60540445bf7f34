"""Denoising takes noise and leaves signal."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from appliance.products.dti_fw.denoise import classify, denoise, patch_width
from tests.diffusion import gradients, turning_fibres, with_noise

SIGMA = 30.0


@pytest.fixture(scope="module")
def images() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    bvalues, bvectors = gradients((0, 3), (1000, 30))
    x, y, _ = np.indices((16, 16, 9)) / 16
    clean = turning_fibres(0.3 * x, 0.3 + 0.5 * y, bvalues, bvectors)
    return clean.astype(np.float32), with_noise(clean, SIGMA, np.random.default_rng(2))


def _error(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.sqrt(((one - other) ** 2).mean()))


def test_every_patch_gives_dipys_mppca(images: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
    """PRO-03: with a patch at every voxel the result is DIPY's, to single precision."""
    from dipy.denoise.localpca import mppca

    _, noisy = images
    assert np.abs(denoise(noisy, stride=1).pixels - mppca(noisy, patch_radius=2)).max() < 0.02


def test_patches_two_voxels_apart_remove_nearly_as_much_noise(images: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
    """PRO-03: the error is at most 3 % above mppca's, and less than half of the noise."""
    from dipy.denoise.localpca import mppca

    clean, noisy = images
    found = denoise(noisy)
    assert _error(found.pixels, clean) <= 1.03 * _error(mppca(noisy, patch_radius=2), clean)
    assert _error(found.pixels, clean) < 0.5 * _error(noisy, clean)
    assert np.median(found.noise) == pytest.approx(SIGMA, rel=0.05)


def test_what_is_removed_is_noise_and_not_anatomy(images: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
    """The difference image is uncorrelated with the clean contrast of every volume."""
    clean, noisy = images
    removed = noisy - denoise(noisy).pixels
    for volume in range(3, clean.shape[3], 6):
        assert abs(np.corrcoef(removed[..., volume].ravel(), clean[..., volume].ravel())[0, 1]) < 0.1


def test_voxels_far_from_the_mask_are_not_touched(images: tuple[NDArray[np.float32], NDArray[np.float32]]) -> None:
    _, noisy = images
    mask = np.zeros(noisy.shape[:3], bool)
    mask[:4, :4, :4] = True
    found = denoise(noisy, mask)
    assert np.array_equal(found.pixels[12:, 12:], noisy[12:, 12:])
    assert not np.array_equal(found.pixels[:4, :4, :4], noisy[:4, :4, :4])


@pytest.mark.parametrize("volumes", [7, 33, 150])
def test_any_count_of_volumes_is_denoised(volumes: int) -> None:
    """Fewer or more volumes than voxels in a patch: a constant image with noise becomes nearly constant."""
    noisy = (1000 + np.random.default_rng(1).normal(0, 20, (12, 11, 8, volumes))).astype(np.float32)
    found = denoise(noisy).pixels
    assert (found - 1000).std() < 10
    assert np.isfinite(found).all()


def test_an_empty_or_constant_image_stays_as_it_is() -> None:
    constant = np.full((8, 8, 6, 10), 7.0, np.float32)
    assert np.abs(denoise(constant).pixels - 7).max() < 1e-3
    assert not denoise(np.zeros((8, 8, 6, 10), np.float32)).pixels.any()


def test_a_patch_holds_as_many_voxels_as_there_are_volumes() -> None:
    assert patch_width((64, 64, 30, 7)) == (3, 3, 3)
    assert patch_width((64, 64, 30, 65)) == (5, 5, 5)
    assert patch_width((64, 64, 30, 126)) == (7, 7, 7)
    assert patch_width((64, 64, 2, 33)) == (5, 5, 2)


def test_components_are_counted_as_dipy_counts_them() -> None:
    from dipy.denoise import localpca

    theirs_of: Any = localpca._pca_classifier
    chance = np.random.default_rng(8)
    spectra = np.sort(chance.gamma(2, 1, (200, 30)) * (1 + 20 * (chance.random((200, 30)) > 0.9)), axis=1).astype(np.float32)
    variance, kept = classify(spectra, 125, 30)
    for spectrum, mine, count in zip(spectra, variance, kept, strict=True):
        theirs, _ = theirs_of(spectrum, 125)
        assert mine == pytest.approx(theirs, rel=1e-5)
        assert count == (spectrum >= (1 + np.sqrt(30 / 125)) ** 2 * theirs).sum()
