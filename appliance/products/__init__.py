"""Products: what can be computed on a study, one folder a product.

A product is a name in `PRODUCTS` and a package of that name beside this file with `manifest.MANIFEST` and `run.run`.
"""

from importlib import import_module

from appliance.products.manifest import Manifest

PRODUCTS: tuple[str, ...] = ("dti",)


def catalogue() -> dict[str, Manifest]:
    """Every product's manifest by its identifier; loads none of the libraries that the products compute with."""
    found: dict[str, Manifest] = {}
    for name in PRODUCTS:
        manifest: Manifest = import_module(f"appliance.products.{name}.manifest").MANIFEST
        found[manifest.id] = manifest
    return found
