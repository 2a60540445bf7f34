"""No package of the installed tree brings a licence that would bind the appliance's own code."""

import re
from importlib.metadata import Distribution, distributions

_COPYLEFT = re.compile(r"\b(?:A?GPL|GNU (?:Affero )?General Public)", re.IGNORECASE)
_LESSER = re.compile(r"\bLGPL|Lesser General Public|Library General Public", re.IGNORECASE)
_CHOICE = re.compile(r"\bOR\b|/|\bor\b")
_FREE = re.compile(r"\b(?:MIT|BSD|Apache|MPL|PSF)", re.IGNORECASE)


def _licences(one: Distribution) -> list[str]:
    """What a package says of itself: the expression, else the classifiers, else a short licence field."""
    expression = "".join(one.metadata.get_all("License-Expression") or [])
    classifiers = [line for line in one.metadata.get_all("Classifier") or [] if line.startswith("License ::")]
    free_text = "".join(one.metadata.get_all("License") or []).strip()
    return [expression] if expression else classifiers or ([free_text.splitlines()[0]] if free_text else [])


def _binds(licence: str) -> bool:
    if not _COPYLEFT.search(_LESSER.sub("", licence)):
        return False
    return not (_CHOICE.search(licence) and _FREE.search(licence))


def test_nothing_installed_is_under_the_gpl_or_the_agpl() -> None:
    bound = {
        f"{one.name}: {licence}"
        for one in distributions()
        for licence in _licences(one)
        if _binds(licence) and one.name.lower() != "ranvier"
    }
    assert not bound


def test_the_decoder_that_is_under_the_gpl_is_not_there() -> None:
    assert "pylibjpeg-libjpeg" not in {(one.name or "").lower() for one in distributions()}


def test_a_package_under_the_gpl_would_be_noticed() -> None:
    assert _binds("License :: OSI Approved :: GNU General Public License v3 (GPLv3)")
    assert _binds("AGPL-3.0-or-later")
    assert not _binds("LGPL-3.0-or-later")
    assert not _binds("MIT OR GPL-2.0")
