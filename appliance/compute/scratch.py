"""Folders for what a stage writes for itself only: images of a patient may be among it, so none outlives its stage for long.

Whoever made a folder holds a lock on it, which the kernel takes back when that process dies: a folder whose lock is free has no
owner, and whoever comes next removes it.
"""

import contextlib
import fcntl
import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

PREFIX = "ranvier-stage-"


@contextlib.contextmanager
def scratch() -> Iterator[Path]:
    """A folder in the system's place for temporary files; gone afterwards."""
    # It gets its name when its lock is held: until then nobody takes it for one without an owner.
    draft = Path(tempfile.mkdtemp(prefix=f".{PREFIX}"))
    handle = os.open(draft, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        folder = draft.rename(draft.with_name(draft.name[1:]))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(handle)


def sweep() -> int:
    """Removes what processes left that were killed; gives how many folders."""
    return sum(map(_removed, Path(tempfile.gettempdir()).glob(f"{PREFIX}*")))


@functools.cache
def sweep_once() -> int:
    """The same, once a process."""
    return sweep()


def _removed(folder: Path) -> bool:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False  # another user's, or gone meanwhile
    try:
        if os.fstat(handle).st_uid != os.geteuid():
            return False
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    except OSError:
        return False
    finally:
        os.close(handle)
    return True
