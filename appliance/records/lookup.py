"""From the beginning or the end of an identifier, as people copy and type it, to the identifier.

A UUIDv7 begins with the time: studies of one afternoon begin alike, and people tell them apart by the random end.
"""

import re
from typing import Literal

from appliance.errors import Rejected, Unknown
from appliance.records.engine import Records

SHORTEST, SHORTEST_END, FULL = 6, 8, 32
_FORM = re.compile(rf"[0-9a-f]{{{SHORTEST},{FULL}}}")
Kind = Literal["study", "order", "report", "delivery", "user", "pull"]
_TABLES: dict[Kind, str] = {
    "study": "studies",
    "order": "orders",
    "report": "reports",
    "delivery": "deliveries",
    "user": "users",
    "pull": "pulls",
}


class Ambiguous(Rejected):
    """More than one {kind} has these digits."""

    code = "ambiguous"
    next_step = "Give more digits of the identifier."


def dashed(digits: str) -> str:
    """The beginning of a UUID with the hyphens that belong into it."""
    parts = (digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:])
    return "-".join(part for part in parts if part)


async def full_id(records: Records, kind: Kind, digits: str) -> str:
    """The identifier with this beginning (6 digits or more) or this end (8 or more), hyphens or not.

    Raises `Unknown`, or `Ambiguous` when several have it.
    """
    typed = digits.strip().lower().replace("-", "")
    if not _FORM.fullmatch(typed):
        raise Unknown(kind=kind)
    table, begin = _TABLES[kind], dashed(typed)
    # A range instead of LIKE: it uses the primary key on both engines. "g" sorts after every hexadecimal digit.
    rows = await records.run(f"SELECT id FROM {table} WHERE id >= {{}} AND id < {{}} LIMIT 3", begin, begin + "g")
    if SHORTEST_END <= len(typed) < FULL:
        rows += await records.run(f"SELECT id FROM {table} WHERE SUBSTR(id, 29) = {{}} LIMIT 100", typed[-8:])
    plain = {str(row["id"]): str(row["id"]).replace("-", "") for row in rows}
    found = [full for full, bare in plain.items() if bare.startswith(typed) or bare.endswith(typed)]
    if not found:
        raise Unknown(kind=kind)
    if len(found) > 1:
        raise Ambiguous(kind=kind)
    return found[0]
