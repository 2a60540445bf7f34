"""How a measured place is followed from report to report: its tracking identifier and UID (PS3.16 TID 1501)."""

import hashlib
from uuid import UUID

from appliance.reports.codes import BRAIN, Code, Coded


def place_of(found: Coded) -> Code:
    """The place that a number belongs to; numbers of the whole acquisition belong to the brain."""
    return found.site or BRAIN


def derived_id(*parts: str) -> str:
    """A UUID (RFC 9562, version 8) that follows from its parts and nothing else."""
    digest = bytearray(hashlib.sha256("\x1f".join(parts).encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80
    digest[8] = digest[8] & 0x3F | 0x80
    return str(UUID(bytes=bytes(digest)))


def tracking_uid(order: str, product: str, place: Code) -> str:
    """The same place of the same order has the same UID in every version of its report."""
    return f"2.25.{UUID(derived_id('tracking', order, product, place.scheme, place.value)).int}"
