"""Sees what a stage's processes use together, and ends every one of them.

A process belongs to the stage when it descends from the stage's own, or shares its session; one that has left both is still
known from an earlier look.
"""

import contextlib
import os
import signal
from dataclasses import dataclass
from pathlib import Path

_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True, slots=True)
class _Seen:
    pid: int
    parent: int
    session: int
    started: str
    resident: int


def _everyone() -> dict[int, _Seen]:
    """Every process that runs now, zombies left out (proc(5), /proc/pid/stat)."""
    found = {}
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            # Asked several times a second for every process of the machine: no more work than it needs.
            with open(entry.path + "/stat", "rb", buffering=0) as stat:
                fields = stat.read().rpartition(b")")[2].split()
            if fields[0] not in b"ZX":
                pid = int(entry.name)
                found[pid] = _Seen(pid, int(fields[1]), int(fields[3]), fields[19].decode(), int(fields[21]) * _PAGE)
    return found


class Family:
    """All processes of one stage."""

    def __init__(self, leader: int) -> None:
        self.leader = leader
        self._known: dict[int, str] = {}

    def members(self) -> list[_Seen]:
        """Those that live now."""
        everyone = _everyone()
        ours = {
            pid
            for pid, one in everyone.items()
            if one.session == self.leader or self._known.get(pid, one.started if pid == self.leader else "") == one.started
        }
        grown = True
        while grown:
            more = {pid for pid, one in everyone.items() if one.parent in ours and pid not in ours}
            ours |= more
            grown = bool(more)
        self._known |= {pid: everyone[pid].started for pid in ours}
        return [everyone[pid] for pid in ours]

    def used_bytes(self, suspicious: int) -> int:
        """Memory of all members; from `suspicious` on, pages that they share are counted once (Pss), which is slower to ask."""
        members = self.members()
        plain = sum(one.resident for one in members)
        if plain < suspicious or len(members) == 1:
            return plain
        return sum(_proportional(one) for one in members)

    def end(self) -> None:
        """Ends all members; those that are born meanwhile as well."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.leader, signal.SIGKILL)
        for _ in range(20):
            members = self.members()
            if not members:
                return
            for one in members:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(one.pid, signal.SIGKILL)


def _proportional(one: _Seen) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{one.pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    return one.resident


def kernel_oom_kills() -> int:
    """How many processes this kernel has ended for want of memory since it started (/proc/vmstat)."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/vmstat").read_text().splitlines():
            if line.startswith("oom_kill "):
                return int(line.split()[1])
    return 0
