"""What is old: studies with what speaks against deleting them, and rows that belong to no study any more."""

from collections.abc import Iterable

import msgspec

from appliance.records.engine import Records
from appliance.states import ORDER_FACTS, DeliveryState, OrderState, RunState, StudyState

_PAGE = 200


class OldStudy(msgspec.Struct, kw_only=True, frozen=True):
    """A study that nothing has happened to since a moment, and why it stays; empty when it may go."""

    id: str
    reason: str


_ENDED = tuple(str(state) for state, facts in ORDER_FACTS.items() if facts.terminal)
_HELD = (str(OrderState.HELD), str(OrderState.QC_FAILED))
_UNSENT = (str(DeliveryState.PENDING), str(DeliveryState.SENDING), str(DeliveryState.FAILED))
_OPEN = (str(RunState.PENDING), str(RunState.RUNNING))


def _marks(values: Iterable[object]) -> str:
    return ", ".join("{}" for _ in values)


async def old_studies(records: Records, before: int, after: str = "") -> list[OldStudy]:
    """A page of studies, by identifier after another, whose last instance and whose orders' last change are older."""
    orders = "SELECT 1 FROM orders o WHERE o.study = s.id"
    reasons = (
        ("held", f"s.state = {{}} OR EXISTS ({orders} AND o.state IN ({_marks(_HELD)}))"),
        ("still arriving", "s.state = {} OR EXISTS (SELECT 1 FROM activities a WHERE a.study = s.id)"),
        (
            "not delivered",
            "EXISTS (SELECT 1 FROM deliveries d JOIN orders o ON d.order_id = o.id "
            f"WHERE o.study = s.id AND d.state IN ({_marks(_UNSENT)}))",
        ),
        ("in use", f"EXISTS ({orders} AND o.state NOT IN ({_marks(_ENDED)}))"),
        ("being pulled", f"EXISTS (SELECT 1 FROM pulls p WHERE p.uid_key = s.uid_key AND p.state IN ({_marks(_OPEN)}))"),
        ("not committed", "EXISTS (SELECT 1 FROM commitments c WHERE c.sender = s.sender)"),
    )
    cases = " ".join(f"WHEN {condition} THEN '{reason}'" for reason, condition in reasons)
    rows = await records.run(
        f"SELECT s.id, CASE {cases} ELSE '' END AS reason FROM studies s WHERE s.id > {{}} AND s.last_at < {{}} "
        f"AND NOT EXISTS ({orders} AND o.updated_at >= {{}}) ORDER BY s.id LIMIT {_PAGE}",
        str(StudyState.QUARANTINED),
        *_HELD,
        str(StudyState.RECEIVING),
        *_UNSENT,
        *_ENDED,
        *_OPEN,
        after,
        before,
        before,
    )
    return [OldStudy(id=str(row["id"]), reason=str(row["reason"])) for row in rows]


_ROWS = {
    "events": "at < {} AND (study = '' OR NOT EXISTS (SELECT 1 FROM studies s WHERE s.id = events.study))",
    "pulls": "ended_at < {}",
    "disk_samples": "at < {}",
    "single_use": "until < {}",
    "notices": "at < {} AND state NOT IN ('waiting', 'sending')",
}
"""Table -> which of its rows are old and belong to nothing that is kept. The audit and the settings are not among them."""


async def is_order(records: Records, identifier: str) -> bool:
    """Whether there is such an order."""
    return bool(await records.run("SELECT id FROM orders WHERE id = {}", identifier))


async def old_rows(records: Records, before: int) -> dict[str, int]:
    """How many rows of each table are old."""
    found = {}
    for table, condition in _ROWS.items():
        rows = await records.run(f"SELECT COUNT(*) AS n FROM {table} WHERE {condition}", before)
        found[table] = int(rows[0]["n"])
    return {table: count for table, count in found.items() if count}


async def forget_rows(records: Records, before: int) -> None:
    """Deletes them."""
    for table, condition in _ROWS.items():
        await records.run(f"DELETE FROM {table} WHERE {condition}", before)
