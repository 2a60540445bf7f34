"""Several processes for one study: each works on a part of its files, and what they found is put together between two steps.

A part is a generator: it yields what it found in its first step, is sent what all of them found, and returns its result. The
first part runs in this process, the others in forked ones, which die with it; nothing is written but what the parts write.
"""

import ctypes
import gc
import os
import signal
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from multiprocessing.connection import Connection, Pipe
from typing import Any, NamedTuple, TypeVar

from appliance.errors import RanvierError

FILES_EACH = 250
"""Fewer files are not worth a process of their own."""
MOST_PROCESSES = 4
"""Each needs some 60 MiB; with more of them the disk is what they wait for."""
_PR_SET_PDEATHSIG = 1
File = TypeVar("File")
Found = TypeVar("Found")
Merged = TypeVar("Merged")
Done = TypeVar("Done")


class PartEnded(Exception):
    """A process of the crew ended in a way that none of the room's errors describes; names the kind of fault alone."""


class _Mate(NamedTuple):
    process: int
    link: "Connection[Any, Any]"


def shares(files: Sequence[File], cores: int = 0) -> list[list[File]]:
    """The files in parts, one a process: as many as this process may use cores."""
    count = min(cores or len(os.sched_getaffinity(0)), MOST_PROCESSES, len(files) // FILES_EACH or 1)
    bounds = [number * len(files) // count for number in range(count + 1)]
    return [list(files[start:stop]) for start, stop in pairwise(bounds)]


def in_parts(
    parts: Sequence[Callable[[], Generator[Found, Merged, Done]]], merge: Callable[[list[Found]], Merged]
) -> list[Done]:
    """The results of all parts, in order; raises what the first of them raised, and then none of them runs any more."""
    mates: list[_Mate] = []
    try:
        with _nothing_collected():
            for part in parts[1:]:
                mates.append(_hired(part, mates))
            own = parts[0]()
            merged = merge([next(own), *(_heard(mate) for mate in mates)])
            for mate in mates:
                mate.link.send(merged)
            return [_finished(own, merged), *(_heard(mate) for mate in mates)]
    finally:
        for mate in mates:
            mate.link.close()
            os.kill(mate.process, signal.SIGKILL)
            os.waitpid(mate.process, 0)


@contextmanager
def _nothing_collected() -> Iterator[None]:
    """Switches the search for reference cycles off: what parts keep of thousands of files has none."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _finished(part: Generator[Found, Merged, Done], merged: Merged) -> Done:
    try:
        part.send(merged)
    except StopIteration as end:
        done: Done = end.value
        return done
    raise PartEnded("two steps")


def _hired(part: Callable[[], Generator[Any, Any, Any]], mates: list[_Mate]) -> _Mate:
    here, there = Pipe()
    parent = os.getpid()
    process = os.fork()
    if process:
        there.close()
        return _Mate(process, here)
    # The edge of a process: whatever happens below becomes one message, and nothing of the parent's is run at the end.
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        here.close()
        for mate in mates:
            mate.link.close()
        if os.getppid() == parent:
            _work(part, there)
    finally:
        os._exit(0)


def _work(part: Callable[[], Generator[Any, Any, Any]], link: "Connection[Any, Any]") -> None:
    try:
        running = part()
        link.send(("found", next(running)))
        link.send(("found", _finished(running, link.recv())))
    except RanvierError as error:
        link.send(("error", (type(error), error.facts)))
    except MemoryError:
        link.send(("memory", None))
    except EOFError:
        return
    except Exception as fault:
        # A library's message may quote the data; only its type goes on.
        link.send(("fault", type(fault).__name__))


def _heard(mate: _Mate) -> Any:
    try:
        kind, value = mate.link.recv()
    except EOFError:
        raise PartEnded("ended early") from None
    if kind == "error":
        error, facts = value
        raise error(**facts)
    if kind == "memory":
        raise MemoryError
    if kind == "fault":
        raise PartEnded(value)
    return value
