"""A worker that dies by kill -9 at one step of its deliveries: `python -m tests.journeys.dying STEP COUNT`.

It stands there until so many deliveries have come to that step, so that one death meets them all.
"""

import asyncio
import os
import signal
import sys
from typing import Any

from appliance import __main__ as entry
from appliance import dispatch
from appliance.delivery.parcel import Outcome, Result

STEPS = ("before-sending", "before-recording", "while-recording", "after-recording", "while-waiting")
"""The first two are met by all deliveries, the next two by the first of them; the last ends nothing by itself."""


def arrange(step: str, count: int) -> None:
    """Lays the trap."""
    there: list[int] = []
    trapped: Any = dispatch
    original = trapped.send

    async def together() -> None:
        there.append(1)
        if len(there) == count:
            _die()
        await asyncio.Event().wait()

    async def send(parcel: Any, section: Any) -> Outcome:
        if step == "before-sending":
            await together()
        if step == "while-waiting":
            return Outcome(result=Result.TRY_AGAIN, answer="no answer")
        outcome: Outcome = await original(parcel, section)
        if step == "before-recording":
            assert outcome.result in (Result.SENT, Result.SENT_WITH_WARNING), f"{section.name}: {outcome.answer}"
            await together()
        return outcome

    trapped.send = send
    if step in ("while-recording", "after-recording"):
        _die_at_the_record(trapped, at_once=step == "while-recording")


def _die_at_the_record(trapped: Any, *, at_once: bool) -> None:
    settles, closes, settled = trapped.deliveries.settle, trapped.close_delivered, list[int]()

    async def settle(*arguments: Any, **named: Any) -> None:
        await settles(*arguments, **named)
        settled.append(1)
        if at_once:
            _die()

    async def close_delivered(*arguments: Any, **named: Any) -> None:
        if settled:
            _die()
        await closes(*arguments, **named)

    trapped.deliveries.settle, trapped.close_delivered = settle, close_delivered


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    arrange(sys.argv[1], int(sys.argv[2]))
    sys.argv = ["ranvier", "work"]
    entry.main()
