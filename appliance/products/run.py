"""Runs one product on one de-identified folder; the entry of the stage's child process."""

from collections.abc import Callable
from importlib import import_module

from appliance.errors import Failed
from appliance.products import PRODUCTS, package, site_run
from appliance.products.manifest import ProductRequest, ProductResult

Progress = Callable[[float, str], None]
"""Told the share done (0 to 1) and the title of the step that runs."""


class NoSuchProduct(Failed):
    """This appliance has no product called {product}."""

    code = "no-such-product"
    next_step = "Choose one of the installed products ({installed}), or install the missing one."


def run(request: ProductRequest, progress: Progress) -> ProductResult:
    """Computes a product; what it writes lies below `request.out_folder`.

    Raises `NoSuchProduct`, or the product's own errors.
    """
    if request.folder:
        return site_run.run(request, progress)
    if request.product not in PRODUCTS:
        raise NoSuchProduct(product=request.product, installed=", ".join(PRODUCTS))
    compute: Callable[[ProductRequest, Progress], ProductResult] = import_module(f"{package(request.product)}.run").run
    return compute(request, progress)
