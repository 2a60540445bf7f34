"""Products: what can be computed on a study, one folder a product.

A product is a name in `PRODUCTS` and a package of that name (`dti_fw` for `dti-fw`) beside this file with `manifest.MANIFEST`
and `run.run`. A site adds its own as a folder in the appliance's home, with a manifest file and a command
(`appliance.products.site`).
"""

from importlib import import_module
from pathlib import Path

from appliance.products import site
from appliance.products.manifest import Manifest

PRODUCTS: tuple[str, ...] = ("dti", "dti-fw")


def catalogue(home: Path | None = None) -> dict[str, Manifest]:
    """Every product's manifest by its identifier, those of the site in `home` among them.

    Loads none of the libraries that products compute with. A site's product whose manifest is wrong, or that takes the name of
    one of the appliance's, is left out; `faults` says why.
    """
    found: dict[str, Manifest] = {}
    for name in PRODUCTS:
        manifest: Manifest = import_module(f"{package(name)}.manifest").MANIFEST
        found[manifest.id] = manifest
    if home is None:
        return found
    return {**site.manifests(home), **found}


def package(name: str) -> str:
    """Where one of the appliance's own products lives."""
    return f"appliance.products.{name.replace('-', '_')}"


def faults(home: Path) -> dict[str, str]:
    """Folder of a site's product -> why it is not offered."""
    taken = dict.fromkeys(site.manifests(home).keys() & set(PRODUCTS), "the appliance has a product of this name")
    return {**site.faults(home), **taken}


def offered(home: Path, mode: str) -> dict[str, Manifest]:
    """The products that can run in a processing mode (PRO-07)."""
    return {name: one for name, one in catalogue(home).items() if mode in one.runs_on}
