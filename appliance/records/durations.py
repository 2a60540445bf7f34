"""How long stages take here, and from that how long what waits will take."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from appliance.records.engine import Records
from appliance.states import OrderState

_WEIGHT = 5
"""The newest duration counts one in so many, once there are as many: the mean follows a new machine or a new setting."""
_UNTIL: tuple[tuple[OrderState, tuple[str, ...]], ...] = (
    (OrderState.QC, ("qc", "qc-images", "deidentify", "product", "report")),
    (OrderState.QUEUED, ("deidentify", "product", "report")),
    (OrderState.DEIDENTIFIED, ("product", "report")),
    (OrderState.PROCESSING, ("product", "report")),
    (OrderState.PROCESSED, ("report",)),
)
"""State of an order -> stages that are still to run; `product` stands for one run of each of its products."""


class Queue(msgspec.Struct, kw_only=True, frozen=True):
    """What waits and what runs."""

    waiting: int = 0
    urgent: int = 0
    """Of those that wait."""
    running: int = 0
    expected_s: float | None = None
    """Until all of it is done, from measured stages; None until every stage in question has been measured once."""


async def note(records: Records, stage: str, seconds: float) -> None:
    """Adds one measured duration to the running mean of a stage."""
    lasted = round(seconds * 1000)
    await records.run(
        "INSERT INTO stage_times (stage, runs, mean_ms) VALUES ({}, 1, {}) ON CONFLICT (stage) DO UPDATE SET "
        "mean_ms = stage_times.mean_ms + (excluded.mean_ms - stage_times.mean_ms) / "
        f"(CASE WHEN stage_times.runs < {_WEIGHT} THEN stage_times.runs + 1 ELSE {_WEIGHT} END), "
        "runs = stage_times.runs + 1",
        stage[:96],
        lasted,
    )


async def means(records: Records) -> dict[str, float]:
    """Stage -> mean seconds."""
    rows = await records.run("SELECT stage, mean_ms FROM stage_times")
    return {str(row["stage"]): int(row["mean_ms"]) / 1000 for row in rows}


async def queue(records: Records, *, workers: int, now: int) -> Queue:
    """The figures of the queue, for so many orders at a time."""
    states = [str(state) for state, _ in _UNTIL]
    marks = ", ".join("{}" for _ in states)
    rows = await records.run(
        "SELECT state, products, CASE WHEN worker <> '' AND lease_until > {} THEN 1 ELSE 0 END AS held, "
        "CASE WHEN priority > 0 THEN 1 ELSE 0 END AS urgent, COUNT(*) AS n "
        f"FROM orders WHERE state IN ({marks}) GROUP BY 1, 2, 3, 4",
        now,
        *states,
    )
    waiting = sum(int(row["n"]) for row in rows if not row["held"])
    urgent = sum(int(row["n"]) for row in rows if not row["held"] and row["urgent"])
    running = sum(int(row["n"]) for row in rows if row["held"])
    return Queue(waiting=waiting, urgent=urgent, running=running, expected_s=_expected(rows, await means(records), workers))


def _expected(rows: Sequence[Mapping[str, Any]], seconds: Mapping[str, float], workers: int) -> float | None:
    remaining = dict(_UNTIL)
    total = 0.0
    for row in rows:
        stages: list[str] = []
        for stage in remaining[OrderState(row["state"])]:
            stages += [f"product/{one}" for one in str(row["products"]).split(",")] if stage == "product" else [stage]
        if any(stage not in seconds for stage in stages):
            return None
        total += int(row["n"]) * sum(seconds[stage] for stage in stages)
    return round(total / max(1, workers), 1)
