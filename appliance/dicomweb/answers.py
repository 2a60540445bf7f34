"""Elements of the DICOM JSON model (PS3.18 Annex F)."""

from typing import Any

Element = dict[str, Any]
Answer = dict[str, Element]


def element(vr: str, *values: Any) -> Element:
    """One attribute; without values it is there and empty."""
    given = [one for one in values if one not in (None, "")]
    if vr == "PN":
        given = [{"Alphabetic": one} for one in given]
    return {"vr": vr, "Value": given} if given else {"vr": vr}


def uid(value: str) -> Element:
    """A UID."""
    return element("UI", value)
