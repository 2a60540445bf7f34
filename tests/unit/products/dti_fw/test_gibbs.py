"""Ringing of a truncated spectrum is removed; what does not ring stays."""

import numpy as np
import pytest
from scipy import ndimage

from appliance.products.dti_fw.gibbs import remove_ringing
from tests.diffusion import Array

SIZE, FINE = 96, 512


@pytest.fixture(scope="module")
def images() -> tuple[Array, Array, Array]:
    """An object, its image from a truncated spectrum, and where the object is flat."""
    y, x = np.mgrid[:FINE, :FINE] - FINE / 2
    fine = ((x / 180) ** 2 + (y / 200) ** 2 < 1) * 1000.0 + ((x / 70) ** 2 + ((y - 10) / 50) ** 2 < 1) * 800.0
    spectrum, half, middle = np.fft.fftshift(np.fft.fft2(fine)), SIZE // 2, FINE // 2
    kept = spectrum[middle - half : middle + half, middle - half : middle + half]
    rung = np.abs(np.fft.ifft2(np.fft.ifftshift(kept))) * (SIZE / FINE) ** 2
    index = np.arange(SIZE) * FINE / SIZE
    truth = ndimage.map_coordinates(
        ndimage.uniform_filter(fine, FINE / SIZE), np.meshgrid(index, index, indexing="ij"), order=1
    )
    flat = ndimage.maximum_filter(truth, 7) - ndimage.minimum_filter(truth, 7) < 1
    return truth, rung, flat


def test_ringing_is_removed_as_well_as_by_dipy(images: tuple[Array, Array, Array]) -> None:
    """PRO-03: next to edges the error falls by a quarter, and over the image it is no more than DIPY's."""
    from dipy.denoise.gibbs import gibbs_removal

    truth, rung, flat = images
    found = remove_ringing(rung[:, :, None, None].astype(np.float32))[:, :, 0, 0].astype(np.float64)
    theirs = gibbs_removal(rung.copy(), inplace=False)

    def error(image: Array) -> float:
        return float(np.sqrt(((image - truth)[flat] ** 2).mean()))

    assert error(found) < 0.75 * error(rung)
    assert error(found) < 1.03 * error(theirs)
    assert np.abs(found - truth).mean() <= np.abs(theirs - truth).mean()


def test_every_volume_and_slice_is_treated_alike_whichever_way_it_lies(images: tuple[Array, Array, Array]) -> None:
    _, rung, _ = images
    image = rung.astype(np.float32)
    stack = np.stack([image, image.T], axis=-1)[:, :, None, :]
    found = remove_ringing(stack)
    assert np.abs(found[:, :, 0, 0] - found[:, :, 0, 1].T).max() < 0.05


def test_lines_outside_the_mask_stay_as_they_are(images: tuple[Array, Array, Array]) -> None:
    _, rung, _ = images
    image = np.repeat(rung[:, :, None, None], 2, axis=2).astype(np.float32)
    mask = np.zeros(image.shape[:3], bool)
    mask[:, :, 0] = True
    found = remove_ringing(image, mask)
    assert np.abs(found[:, :, 1] - image[:, :, 1]).max() < 0.01
    assert np.abs(found[:, :, 0] - image[:, :, 0]).max() > 10


@pytest.mark.parametrize("shape", [(31, 30), (30, 31)])
def test_a_smooth_image_is_not_changed_on_odd_and_even_sizes(shape: tuple[int, int]) -> None:
    row, column = np.indices(shape)
    smooth = 100 + 20 * np.sin(2 * np.pi * row / shape[0]) + 10 * np.cos(2 * np.pi * column / shape[1])
    found = remove_ringing(smooth[:, :, None, None].astype(np.float32))[:, :, 0, 0]
    assert np.abs(found - smooth).max() < 0.5
