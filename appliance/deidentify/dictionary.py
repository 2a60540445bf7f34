"""The data dictionary and the registry of UIDs (PS3.6), read from pydicom's data files alone.

Importing the package itself loads every decoder of pixels that is installed: half a second that a study of a few images, whose
pixels nobody decodes, would mostly wait for.
"""

from functools import lru_cache
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType


@lru_cache(maxsize=8192)
def dictionary_vr(tag: int) -> str:
    """The data dictionary's VR of a standard attribute (PS3.6), such as `US or SS`; empty when it is unknown."""
    return _entry(tag)[0]


def keyword(tag: int) -> str:
    """The data dictionary's keyword of a standard attribute (PS3.6); empty when it is unknown."""
    return _entry(tag)[4]


def is_registered(uid: bytes) -> bool:
    """Whether a UID is one of the standard's own registry."""
    return uid.decode("ascii", "replace") in _uids().UID_dictionary


def _entry(tag: int) -> tuple[str, str, str, str, str]:
    found: tuple[str, str, str, str, str] | None = _attributes().DicomDictionary.get(tag)
    if found is None and not tag >> 16 & 1:
        figures = f"{tag:08X}"
        repeating = _attributes().RepeatersDictionary.items()
        found = next((entry for mask, entry in repeating if _fits(mask, figures)), None)
    return found or ("", "", "", "", "")


def _fits(mask: str, figures: str) -> bool:
    return all(one in ("x", "X", other) for one, other in zip(mask, figures, strict=True))


@lru_cache(maxsize=1)
def _attributes() -> ModuleType:
    return _data_file("_dicom_dict")


@lru_cache(maxsize=1)
def _uids() -> ModuleType:
    return _data_file("_uid_dict")


def _data_file(name: str) -> ModuleType:
    package = find_spec("pydicom")
    if package is None or package.origin is None:
        raise ModuleNotFoundError("pydicom")
    found = spec_from_file_location(f"{__name__}.{name}", Path(package.origin).with_name(f"{name}.py"))
    if found is None or found.loader is None:
        raise ModuleNotFoundError(name)
    module = module_from_spec(found)
    found.loader.exec_module(module)
    return module
