"""Every error class of the house, wherever it stands."""

import importlib
import re

from appliance.errors import RanvierError
from tests.house.tree import ROOT, product_code

CARRIERS = {"StageEnded", "StageCancelled"}
"""They only carry another process's error over to the worker, which turns them into one of the tree."""


def every_error() -> list[type[RanvierError]]:
    """All classes below `RanvierError`, by module and name."""
    for path in product_code():
        if re.search(r'^    code(: ClassVar\[str\])? = "', path.read_text(), re.MULTILINE):
            importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    found: set[type[RanvierError]] = set()
    edge: set[type[RanvierError]] = {RanvierError}
    while edge:
        found |= edge
        edge = {child for kind in edge for child in kind.__subclasses__() if not child.__module__.startswith("tests")} - found
    return sorted(found - {RanvierError}, key=lambda kind: (kind.__module__, kind.__qualname__))


def sentence(kind: type[RanvierError]) -> str:
    """An error's message with its names still open."""
    return " ".join((kind.__doc__ or "").split("\n\n")[0].split())
