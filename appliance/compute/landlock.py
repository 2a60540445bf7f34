"""Takes from a process and its children the right to write outside some folders, to read one, and to use the network.

Landlock is the kernel's own fence for unprivileged processes (landlock(7), since Linux 5.13): once closed it cannot be opened
again, and a kernel without it answers so, in which case nothing is fenced and `confine` says false.
"""

import ctypes
import os
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_PATH_BENEATH = 1
_WANT_VERSION = 1
_PR_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE = 1 << 14
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_RIGHTS_OF_ABI = {1: (1 << 13) - 1, 2: (1 << 14) - 1, 3: (1 << 15) - 1}
"""Kernels learned REFER with ABI 2 and TRUNCATE with ABI 3; control of devices (ABI 5) stays as it is."""
_TCP = 0b11
"""Bind and connect, with ABI 4."""
_SCOPED = 0b11
"""Abstract sockets and signals stay inside, with ABI 6."""

_ALWAYS_WRITABLE = ("/dev/null", "/dev/zero", "/dev/full", "/dev/shm", "/dev/tty")


class _Ruleset(ctypes.Structure):
    _fields_ = [("fs", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64)]


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _fields_ = [("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32)]


def version() -> int:
    """The kernel's Landlock ABI; 0 where there is none."""
    return max(0, _call(_CREATE_RULESET, None, 0, _WANT_VERSION))


def confine(writable: Iterable[Path], *, unreadable: Path | None = None, readable: Iterable[Path] = ()) -> bool:
    """Closes the fence around this process for good; false where the kernel has none.

    Below `writable` everything is allowed. Everything else can be read and executed; with `unreadable` what lies below that
    folder cannot, save what lies below `readable`. No TCP connection is made or accepted, and no signal reaches a process
    outside, as far as the kernel knows how to refuse that.
    """
    abi = version()
    if not abi:
        return False
    rights = _RIGHTS_OF_ABI[min(abi, 3)]
    attributes = _Ruleset(rights, _TCP if abi >= 4 else 0, _SCOPED if abi >= 6 else 0)
    size = 8 if abi < 4 else 16 if abi < 6 else 24
    ruleset = _call(_CREATE_RULESET, ctypes.byref(attributes), size, 0)
    if ruleset < 0:
        return False
    try:
        roots = [Path("/")] if unreadable is None else [*_all_but(unreadable), *readable]
        for folder in roots:
            _allow(ruleset, folder, _READ)
        for folder in (*writable, *(Path(one) for one in _ALWAYS_WRITABLE)):
            _allow(ruleset, folder, rights)
        _prctl_no_new_privileges()
        return _call(_RESTRICT_SELF, ruleset, 0) == 0
    finally:
        os.close(ruleset)


def _all_but(folder: Path) -> Iterator[Path]:
    """Every entry of the tree that is not on the way down to `folder`; what is made beside that way later stays closed."""
    resolved = folder.resolve()
    for parent, child in zip(reversed(resolved.parents), [*list(reversed(resolved.parents))[1:], resolved], strict=True):
        for entry in parent.iterdir():
            if entry != child and not entry.is_symlink():
                yield entry


def _allow(ruleset: int, folder: Path, rights: int) -> None:
    try:
        handle = os.open(folder, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        # What is not there, or gone meanwhile, needs no rule.
        return
    try:
        is_folder = stat.S_ISDIR(os.fstat(handle).st_mode)
        rule = _PathBeneath(rights if is_folder else rights & _ON_FILES, handle)
        _call(_ADD_RULE, ruleset, _PATH_BENEATH, ctypes.byref(rule), 0)
    finally:
        os.close(handle)


def _prctl_no_new_privileges() -> None:
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)


def _call(number: int, *arguments: object) -> int:
    return int(ctypes.CDLL(None, use_errno=True).syscall(number, *arguments))
