"""A control group (cgroup v2) for each stage, where systemd has delegated a subtree to us; the kernel then keeps the limits.

A unit with `Delegate=yes` may make groups below its own. Its processes must stand in a leaf for that (cgroups(7), "no internal
processes"), so the first stage moves them into one. Anywhere else `make` gives nothing and `appliance.compute.watch` keeps
the limit.
"""

import contextlib
import os
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_LEAF = "ranvier-main"
_PERIOD_US = 100_000
_GONE_WITHIN_S = 2.0


@dataclass(frozen=True, slots=True)
class Group:
    """The control group of one stage."""

    folder: Path

    def take(self, pid: int) -> None:
        """Puts a process, and what it will start, into the group."""
        (self.folder / "cgroup.procs").write_text(f"{pid}\n")

    def oom_kills(self) -> int:
        """How many of its processes the kernel ended because the group was out of memory."""
        for line in _read(self.folder / "memory.events").splitlines():
            name, _, number = line.partition(" ")
            if name == "oom_kill":
                return int(number)
        return 0

    def peak_bytes(self) -> int:
        """The most memory that the group has used; 0 where the kernel does not say."""
        text = _read(self.folder / "memory.peak").strip()
        return int(text) if text.isdigit() else 0

    def end(self) -> None:
        """Ends every process of the group and removes it."""
        with contextlib.suppress(OSError):
            (self.folder / "cgroup.kill").write_text("1\n")
        end = time.monotonic() + _GONE_WITHIN_S
        while "populated 1" in _read(self.folder / "cgroup.events") and time.monotonic() < end:
            time.sleep(0.01)
        with contextlib.suppress(OSError):
            self.folder.rmdir()


def delegated_by_systemd(folder: Path) -> bool:
    """Whether systemd has handed this group to its processes (it marks it with an extended attribute)."""
    for name in ("user.delegate", "trusted.delegate"):
        with contextlib.suppress(OSError):
            if os.getxattr(folder, name) == b"1":
                return True
    return False


def subtree(
    root: Path = Path("/sys/fs/cgroup"),
    own: Path = Path("/proc/self/cgroup"),
    delegated: Callable[[Path], bool] = delegated_by_systemd,
) -> Path | None:
    """The group below which stages may have groups of their own, made ready for it; None where there is none."""
    line = next((one for one in _read(own).splitlines() if one.startswith("0::")), "")
    if not line:
        return None
    base = root / line.removeprefix("0::").lstrip("/")
    if base.name == _LEAF:
        base = base.parent
    if not delegated(base) or "memory" not in _read(base / "cgroup.controllers").split():
        return None
    control = base / "cgroup.subtree_control"
    if "memory" in _read(control).split():
        return base
    try:
        leaf = base / _LEAF
        leaf.mkdir(exist_ok=True)
        for pid in _read(base / "cgroup.procs").split():
            (leaf / "cgroup.procs").write_text(f"{pid}\n")
        wanted = [one for one in ("memory", "cpu", "pids") if one in _read(base / "cgroup.controllers").split()]
        control.write_text(" ".join(f"+{one}" for one in wanted) + "\n")
    except OSError:
        return None
    return base


def make(base: Path | None, *, memory_mb: int, cores: int) -> Group | None:
    """A new group with these limits (0 sets none); None where there is no subtree."""
    if base is None or not memory_mb:
        return None
    folder = base / f"ranvier-stage-{secrets.token_hex(6)}"
    try:
        folder.mkdir()
        (folder / "memory.max").write_text(f"{memory_mb * 1024 * 1024}\n")
    except OSError:
        return None
    for name, value in (
        ("memory.swap.max", "0"),
        ("memory.oom.group", "1"),
        ("pids.max", "2048"),
        ("cpu.max", f"{cores * _PERIOD_US if cores else 'max'} {_PERIOD_US}"),
    ):
        # What this kernel or this delegation does not have is kept in other ways, or not needed.
        with contextlib.suppress(OSError):
            if (folder / name).exists():
                (folder / name).write_text(f"{value}\n")
    return Group(folder)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
