"""What products there are can be told without loading what they compute with."""

import subprocess
import sys

import pytest

from appliance.products import PRODUCTS, catalogue
from appliance.products.manifest import ProductRequest
from appliance.products.run import NoSuchProduct, run


def test_the_catalogue_holds_every_product_under_its_own_identifier() -> None:
    assert set(catalogue()) == set(PRODUCTS)
    assert all(manifest.id == name for name, manifest in catalogue().items())


def test_the_shares_of_a_products_steps_make_one() -> None:
    for manifest in catalogue().values():
        assert sum(step.share for step in manifest.steps) == pytest.approx(1.0)


def test_dti_asks_for_one_unweighted_volume_and_six_directions_and_no_description() -> None:
    """QC-01, PRO-02: description and protocol rules belong to the manifest."""
    protocol = catalogue()["dti"].protocol
    assert (protocol.minimum_b0, protocol.minimum_directions) == (1, 6)
    assert (protocol.study_description, protocol.series_description) == ("", "")


def test_the_catalogue_loads_no_heavy_library() -> None:
    program = (
        "import sys; from appliance.products import catalogue; import appliance.products.run; catalogue();"
        "print([name for name in ('numpy', 'scipy', 'nibabel', 'dipy', 'PIL', 'pydicom') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_product_is_named_with_those_that_exist() -> None:
    with pytest.raises(NoSuchProduct) as caught:
        run(ProductRequest(product="crystal-ball", in_folder="", out_folder=""), lambda share, step: None)
    assert "crystal-ball" in caught.value.what
    assert "dti" in caught.value.advice
