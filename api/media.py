"""Media types with parameters (RFC 9110 sections 8.3 and 12.5.1), as DICOMweb uses them."""

import re
from collections.abc import Sequence

from litestar.exceptions import HTTPException

from appliance.receive.multipart import MOST_BOUNDARY

_PARAMETER = re.compile(r';\s*([A-Za-z0-9_\-]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;,\s"]+)')


class _WrongMedia(HTTPException):
    """The body is of a type that this address does not take."""

    status_code = 415


class _NotAcceptable(HTTPException):
    """Nothing of what the caller takes can be given."""

    status_code = 406


def parameters(text: str) -> dict[str, str]:
    """The parameters of a media type, without quotes, by small-letter names."""
    return {name.lower(): value.strip('"') for name, value in _PARAMETER.findall(text)}


def boundary_of(content_type: str) -> str:
    """The boundary of a multipart/related body; empty for a body that is one instance; refuses other types with 415."""
    kind = content_type.partition(";")[0].strip().lower()
    if kind == "application/dicom":
        return ""
    found = parameters(content_type)
    if kind != "multipart/related" or found.get("type", "application/dicom").lower() != "application/dicom":
        raise _WrongMedia()
    boundary = found.get("boundary", "")
    # The standard's limit is 70; Orthanc sends more.
    if not boundary or len(boundary) > MOST_BOUNDARY or not boundary.isascii():
        raise _WrongMedia()
    return boundary


def syntax_wanted(accept: str) -> str:
    """The transfer syntax that a caller takes: `*` for any, empty when none is named (PS3.18 section 8.7.3.5)."""
    found = [parameters(one).get("transfer-syntax", "") for one in _ranges(accept)]
    return "*" if "*" in found or not accept.strip() else next(iter(filter(None, found)), "")


def accepted(accept: str, offered: Sequence[str]) -> str:
    """The first that the caller takes of what is offered; refuses with 406 when there is none."""
    kinds = [one.partition(";")[0].strip().lower() for one in _ranges(accept)] or ["*/*"]
    for kind in kinds:
        for one in offered:
            if kind in ("*/*", one) or kind == f"{one.partition('/')[0]}/*":
                return one
    raise _NotAcceptable()


def _ranges(accept: str) -> list[str]:
    return [one.strip() for one in re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', accept) if one.strip()]
