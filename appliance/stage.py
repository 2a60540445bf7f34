"""What runs inside a child process: one JSON request in, progress lines and one JSON answer out.

    ranvier stage NAME --memory-mb N --cores 0,1 --file-mb N --parent PID   < request.json

Exit classes: 0 answered, 65 the study's data are at fault, 70 a fault of ours, 75 try again, 78 a setting is at fault.
"""

import argparse
import ctypes
import importlib
import os
import resource
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from appliance.compute import landlock
from appliance.compute.local import StageError
from appliance.errors import Failed, Misconfigured, NeedsPerson, RanvierError, Retry

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
MIB = 1024 * 1024
PROGRESS_EVERY_S = 0.2


class Room(NamedTuple):
    """Where a stage's code and its request type are; imported only in the child that runs it."""

    module: str
    function: str
    request: str
    writes_beside: bool = False
    """Its drafts stand beside the out-folder, in a parent that is its own."""


STAGES: dict[str, Room] = {
    "unpack": Room("appliance.receive.unpack", "run", "appliance.receive.unpack:UnpackRequest"),
    "replace": Room("appliance.receive.replace", "run", "appliance.receive.replace:ReplaceRequest"),
    "qc": Room("appliance.qc.run", "run", "appliance.qc.finding:QcRequest"),
    "qc-images": Room("appliance.qc.images.run", "run", "appliance.qc.finding:QcImagesRequest", True),
    "deidentify": Room("appliance.deidentify.run", "run", "appliance.deidentify.passport:DeidRequest", True),
    "deidentify-preview": Room("appliance.deidentify.preview", "run", "appliance.deidentify.passport:DeidRequest"),
    "deidentify-recheck": Room("appliance.deidentify.recheck", "run", "appliance.deidentify.recheck:RecheckRequest"),
    "product": Room("appliance.products.run", "run", "appliance.products.manifest:ProductRequest", True),
    "report": Room("appliance.searched", "report", "appliance.searched:SearchedReport", True),
    "cohort": Room("appliance.searched", "cohort", "appliance.searched:SearchedCohort"),
    "sheet": Room("appliance.reports.sheet", "run", "appliance.reports.content:SheetRequest"),
    "picture": Room("appliance.dicomweb.pixels", "run", "appliance.dicomweb.pixels:PixelsRequest"),
    "copies": Room("appliance.searched", "copies", "appliance.searched:SearchedCopies", True),
    "search": Room("appliance.searched", "search", "appliance.searched:SearchRequest"),
}


def main(arguments: list[str]) -> int:
    """Runs one stage; the exit class is the return value."""
    parser = argparse.ArgumentParser(prog="ranvier stage")
    parser.add_argument("name", choices=sorted(STAGES))
    parser.add_argument("--memory-mb", type=int, default=0)
    parser.add_argument("--parent", type=int, default=0)
    parser.add_argument("--cores", default="", help="numbers of the cores that it may use")
    parser.add_argument("--file-mb", type=int, default=0, help="the largest file that it may write")
    options = parser.parse_args(arguments)
    _die_with(options.parent)
    _limit(options.memory_mb, options.file_mb, [int(one) for one in options.cores.split(",") if one])
    # The answer goes to a descriptor that libraries which print cannot reach.
    channel = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)
    return _run(STAGES[options.name], lambda line: channel.write(msgspec.json.encode(line) + b"\n"))


def _die_with(parent: int) -> None:
    kernel = ctypes.CDLL(None, use_errno=True)
    kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    # What it starts and leaves behind stays its own, so that the parent finds it when it counts and when it ends it.
    kernel.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    if parent and os.getppid() != parent:
        sys.exit(75)


def _limit(memory_mb: int, file_mb: int, cores: list[int]) -> None:
    if memory_mb:
        resource.setrlimit(resource.RLIMIT_AS, (memory_mb * MIB, memory_mb * MIB))
    if file_mb:
        # Writing on gives an error instead of a signal, so that the stage can say what happened.
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (file_mb * MIB, file_mb * MIB))
    if cores:
        os.sched_setaffinity(0, cores)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _peak_mb() -> int:
    """The most address space that this process has held (proc(5), VmPeak)."""
    with open("/proc/self/status") as status:
        found = next((line for line in status if line.startswith("VmPeak:")), "VmPeak: 0")
    return int(found.split()[1]) // 1024


def _run(room: Room, say: Callable[[dict[str, Any]], object]) -> int:
    # The edge of a process: whatever happens below becomes one line that the parent understands.
    try:
        say({"answer": _answer(room, say)})
        return 0
    except MemoryError as fault:
        what = "The stage asked for more memory than it may use."
        # A command of a site's own that was refused memory stood at its limit, not where this process stands.
        used = max([_peak_mb(), *(one for one in fault.args if isinstance(one, int))])
        say({"error": StageError(kind="out-of-memory", code="out-of-memory", what=what, used_mb=used)})
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
    _confine(room, request)
    function = getattr(importlib.import_module(room.module), room.function)
    said_at = [0.0]

    def progress(fraction: float, step: str) -> None:
        moment = time.monotonic()
        if moment - said_at[0] >= PROGRESS_EVERY_S or fraction >= 1:
            said_at[0] = moment
            say({"progress": min(max(fraction, 0.0), 1.0), "step": step})

    return function(request, progress)


def _confine(room: Room, request: Any) -> None:
    """Leaves the stage the folder that it writes and its temporary one; the rest of the machine can only be read.

    A site's own product cannot read the appliance's folder either, save its own place in it.
    """
    writable = [Path(tempfile.gettempdir())]
    out_folder = getattr(request, "out_folder", "")
    if out_folder:
        folder = Path(out_folder).parent if room.writes_beside else Path(out_folder)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        writable.append(folder)
    kept_folder = getattr(request, "kept_folder", "")
    if kept_folder:
        writable.append(Path(kept_folder))
    own = getattr(request, "folder", "")
    if own:
        readable = [Path(own), Path(request.in_folder)]
        landlock.confine(writable, unreadable=Path(own).parents[1], readable=readable)
    else:
        landlock.confine(writable)


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
