"""From the beginning of an identifier, as people type and copy it, to the identifier."""

import re
from typing import Literal

from appliance.errors import Rejected, Unknown
from appliance.records.engine import Records

SHORTEST, FULL = 6, 36
_FORM = re.compile(r"[0-9a-f]{6,8}|[0-9a-f]{8}-[0-9a-f\-]{0,27}")
Kind = Literal["study", "order", "report", "delivery", "user"]
_TABLES: dict[Kind, str] = {
    "study": "studies",
    "order": "orders",
    "report": "reports",
    "delivery": "deliveries",
    "user": "users",
}


class Ambiguous(Rejected):
    """More than one {kind} begins so."""

    code = "ambiguous"
    next_step = "Give more digits of the identifier."


async def full_id(records: Records, kind: Kind, beginning: str) -> str:
    """The identifier that begins so; raises `Unknown`, or `Ambiguous` when several do."""
    typed = beginning.strip().lower()
    if not _FORM.fullmatch(typed):
        raise Unknown(kind=kind)
    # A range instead of LIKE: it uses the primary key on both engines. "g" sorts after every hexadecimal digit.
    rows = await records.run(
        f"SELECT id FROM {_TABLES[kind]} WHERE id >= {{}} AND id < {{}} ORDER BY id LIMIT 2", typed, typed + "g"
    )
    found = [str(row["id"]) for row in rows if str(row["id"]).startswith(typed)]
    if not found:
        raise Unknown(kind=kind)
    if len(found) > 1 and found[0] != typed:
        raise Ambiguous(kind=kind)
    return found[0]
