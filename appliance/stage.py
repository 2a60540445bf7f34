"""What runs inside a child process: one JSON request in, progress lines and one JSON answer out.

    ranvier stage NAME --memory-mb N --parent PID   < request.json

Exit classes: 0 answered, 65 the study's data are at fault, 70 a fault of ours, 75 try again, 78 a setting is at fault.
"""

import argparse
import ctypes
import importlib
import os
import resource
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from appliance.compute.local import StageError
from appliance.errors import Failed, Misconfigured, NeedsPerson, RanvierError, Retry

PR_SET_PDEATHSIG = 1
PROGRESS_EVERY_S = 0.2


class Room(NamedTuple):
    """Where a stage's code and its request type are; imported only in the child that runs it."""

    module: str
    function: str
    request: str


STAGES: dict[str, Room] = {
    "qc": Room("appliance.qc.run", "run", "appliance.qc.finding:QcRequest"),
    "deidentify": Room("appliance.deidentify.run", "run", "appliance.deidentify.passport:DeidRequest"),
    "product": Room("appliance.products.run", "run", "appliance.products.manifest:ProductRequest"),
    "report": Room("appliance.reports.render", "run", "appliance.reports.content:RenderRequest"),
    "encapsulate": Room("appliance.reports.encapsulate", "run", "appliance.reports.content:EncapsulateRequest"),
}


def main(arguments: list[str]) -> int:
    """Runs one stage; the exit class is the return value."""
    parser = argparse.ArgumentParser(prog="ranvier stage")
    parser.add_argument("name", choices=sorted(STAGES))
    parser.add_argument("--memory-mb", type=int, default=0)
    parser.add_argument("--parent", type=int, default=0)
    options = parser.parse_args(arguments)
    _die_with(options.parent)
    _limit_memory(options.memory_mb)
    # The answer goes to a descriptor that libraries which print cannot reach.
    channel = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return _run(STAGES[options.name], options.memory_mb, lambda line: channel.write(msgspec.json.encode(line) + b"\n"))


def _die_with(parent: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if parent and os.getppid() != parent:
        sys.exit(75)


def _limit_memory(megabytes: int) -> None:
    if megabytes:
        size = megabytes * 1024 * 1024
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _run(room: Room, memory_mb: int, say: Callable[[dict[str, Any]], object]) -> int:
    # The edge of a process: whatever happens below becomes one line that the parent understands.
    try:
        say({"answer": _answer(room, say)})
        return 0
    except MemoryError:
        what = f"The study needs more than the {memory_mb} MB that this stage may use."
        say(
            {
                "error": StageError(
                    kind="failed", code="out-of-memory", what=what, advice="Raise the memory per order in Settings."
                )
            }
        )
        return 65
    except RanvierError as error:
        say({"error": _described(error)})
        return _exit_class(error)
    except Exception as fault:
        # A library's message may quote the data; only its type and our places go on.
        place = traceback.extract_tb(fault.__traceback__)[-1]
        what = f"An unexpected {type(fault).__name__} in {os.path.basename(place.filename)}, line {place.lineno}."
        traceback.print_tb(fault.__traceback__)
        say({"error": StageError(kind="internal", code="internal", what=what, advice="Report this with a support bundle.")})
        return 70


def _answer(room: Room, say: Callable[[dict[str, Any]], object]) -> Any:
    module, _, name = room.request.partition(":")
    request_type = getattr(importlib.import_module(module), name)
    request = msgspec.json.decode(sys.stdin.buffer.readline(), type=request_type)
    function = getattr(importlib.import_module(room.module), room.function)
    said_at = [0.0]

    def progress(fraction: float, step: str) -> None:
        moment = time.monotonic()
        if moment - said_at[0] >= PROGRESS_EVERY_S or fraction >= 1:
            said_at[0] = moment
            say({"progress": min(max(fraction, 0.0), 1.0), "step": step})

    return function(request, progress)


def _described(error: RanvierError) -> StageError:
    kinds: tuple[tuple[type[RanvierError], str], ...] = (
        (NeedsPerson, "needs-person"),
        (Retry, "retry"),
        (Misconfigured, "misconfigured"),
        (Failed, "failed"),
    )
    kind = next((word for base, word in kinds if isinstance(error, base)), "failed")
    after = error.after if isinstance(error, Retry) else 30.0
    return StageError(kind=kind, code=error.code, what=error.what, advice=error.advice, after=after)


def _exit_class(error: RanvierError) -> int:
    if isinstance(error, Retry):
        return 75
    return 78 if isinstance(error, Misconfigured) else 65
