"""Published editions of an acquisition protocol: one data file each in `editions/`, because their values differ."""

import tomllib
from functools import cache
from pathlib import Path

import msgspec

from appliance.qc.protocol import LIMITED, Limit, Protocol

_FOLDER = Path(__file__).with_name("editions")


class Edition(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What one edition asks; `minimum` fails, `recommended` warns, and each limit has both."""

    version: str
    minimum_b0: int
    recommended_b0: int
    minimum_directions: int
    recommended_directions: int
    study_description: str = ""
    series_description: str = ""
    limits: dict[str, Limit]


@cache
def editions() -> dict[str, Edition]:
    """Every edition by its version, the oldest first."""
    read = [msgspec.convert(tomllib.loads(file.read_text()), Edition, strict=False) for file in sorted(_FOLDER.glob("*.toml"))]
    return {one.version: one for one in read}


def with_edition(protocol: Protocol) -> Protocol:
    """The protocol with its edition's rules; what the product itself limits goes before them.

    Raises `KeyError` for an edition that there is no file of.
    """
    if not protocol.edition:
        return protocol
    edition = editions()[protocol.edition]
    limits = {name: edition.limits[name] for name in LIMITED if name in edition.limits} | protocol.limits
    return msgspec.structs.replace(
        protocol,
        minimum_b0=max(protocol.minimum_b0, edition.minimum_b0),
        recommended_b0=max(protocol.recommended_b0, edition.recommended_b0),
        minimum_directions=max(protocol.minimum_directions, edition.minimum_directions),
        recommended_directions=max(protocol.recommended_directions, edition.recommended_directions),
        study_description=protocol.study_description or edition.study_description,
        series_description=protocol.series_description or edition.series_description,
        limits=limits,
    )
