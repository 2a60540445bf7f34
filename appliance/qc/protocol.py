"""What a product's manifest asks of its input, as this room reads it from a request.

The fields are those of the manifest's own `Protocol` and `Limit`; a test holds the two together.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from appliance import errors


class Limit(msgspec.Struct, kw_only=True, frozen=True):
    """A range with a level each for warning and failing; None is open."""

    warn_low: float | None = None
    warn_high: float | None = None
    fail_low: float | None = None
    fail_high: float | None = None


class Protocol(msgspec.Struct, kw_only=True, frozen=True):
    """One product's rules; empty fields ask nothing."""

    version: str = "1"
    edition: str = ""
    """A published acquisition protocol (`appliance/qc/editions`) whose limits apply besides; empty for none."""
    series: str = "diffusion"
    minimum_b0: int = 1
    recommended_b0: int = 0
    """Fewer than recommended is a warning, fewer than the minimum a failure."""
    minimum_directions: int = 6
    recommended_directions: int = 0
    study_description: str = ""
    series_description: str = ""
    allowed_sex: tuple[str, ...] = ("M", "F")
    limits: dict[str, Limit] = {}


Protocols = Mapping[str, Protocol]
"""Product id -> its rules."""


class ProtocolUnknown(errors.Misconfigured):
    """The input rules of product {product} cannot be used: {reason}."""

    code = "qc-protocol-unknown"
    next_step = "Correct the `protocol` of the product's manifest, or take the product out of the order."


LIMITED = (
    *("MagneticFieldStrength", "RepetitionTime", "EchoTime", "PixelSpacing", "SliceThickness"),
    *("Slices", "SpacingGap", "FlipAngle", "BValue"),
)
"""The parameters that a manifest can limit, in the order in which findings name them."""

SERIES_KINDS = ("diffusion",)


def read_protocols(plain: Mapping[str, dict[str, Any]]) -> dict[str, Protocol]:
    """The rules of every product; raises `ProtocolUnknown` for what no check knows, instead of leaving it unchecked."""
    found: dict[str, Protocol] = {}
    for product, rules in plain.items():
        try:
            protocol = msgspec.convert(rules, Protocol, strict=True)
        except msgspec.ValidationError as fault:
            raise ProtocolUnknown(product=product, reason=str(fault)) from fault
        if protocol.series not in SERIES_KINDS:
            raise ProtocolUnknown(product=product, reason=f"no check knows series of kind {protocol.series!r}")
        unknown = sorted(set(protocol.limits) - set(LIMITED))
        if unknown:
            raise ProtocolUnknown(product=product, reason=f"no check knows the limit {unknown[0]!r}")
        found[product] = protocol
    return found
