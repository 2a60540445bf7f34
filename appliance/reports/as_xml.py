"""The report as XML: the same words and numbers as the JSON under the same names, in the namespace `urn:ranvier:report:1`."""

import xml.etree.ElementTree as Xml
from typing import Any

import msgspec

from appliance.reports.as_json import document
from appliance.reports.content import RenderRequest, Row

NAMESPACE = "urn:ranvier:report:1"

_ITEMS = {
    "sections": "section",
    "rows": "row",
    "pictures": "picture",
    "notes": "note",
    "qc_rows": "check",
    "caveats": "caveat",
    "earlier": "study",
    "not_said": "sentence",
}
"""List -> what one of its elements is called."""


def make(request: RenderRequest) -> bytes:
    """The report as indented UTF-8 XML 1.0; numbers that cannot be computed are empty, the patient is not named."""
    root = Xml.Element("report", {"xmlns": NAMESPACE})
    _fill(root, document(request.content))
    Xml.indent(root)
    made: bytes = Xml.tostring(root, encoding="utf-8", xml_declaration=True)
    return made + b"\n"


def _fill(parent: Xml.Element, found: msgspec.Struct) -> None:
    for name in found.__struct_fields__:
        value = getattr(found, name)
        # A number that cannot be computed is empty, and never absent.
        _add(parent, name, "" if value is None and isinstance(found, Row) else value)


def _add(parent: Xml.Element, name: str, value: Any) -> None:
    if value is None:
        return
    child = Xml.SubElement(parent, name)
    if isinstance(value, msgspec.Struct):
        _fill(child, value)
    elif isinstance(value, list):
        for one in value:
            _add(child, _ITEMS.get(name, "item"), one)
    elif isinstance(value, dict):
        for key, one in value.items():
            Xml.SubElement(child, "entry", {"name": key}).text = str(one)
    elif isinstance(value, float):
        child.text = f"{value!r}"
    else:
        child.text = str(value)
