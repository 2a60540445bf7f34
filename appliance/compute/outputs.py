"""What a stage may leave in its folder: plain files and folders, and no more than it was given room for."""

import os
import stat
from pathlib import Path

MOST_FILES = 200_000
"""More entries than this are a fault, whatever their size: each takes an inode of the data disk."""


def used(folder: Path) -> tuple[int, int]:
    """Bytes on disk and number of entries below a folder, links not followed; what vanishes meanwhile is not counted."""
    total = entries = 0
    for at, folders, files in os.walk(folder):
        entries += len(folders) + len(files)
        for name in files:
            try:
                found = os.lstat(os.path.join(at, name))
            except FileNotFoundError:
                continue
            total += found.st_blocks * 512
    return total, entries


def strangers(folder: Path) -> dict[str, int]:
    """Kind -> number of entries that are neither a plain file nor a folder: a link may point anywhere, a pipe never ends."""
    kinds: dict[str, int] = {}
    for at, folders, files in os.walk(folder):
        for name in (*folders, *files):
            found = os.lstat(os.path.join(at, name))
            kind = _kind(found)
            if kind:
                kinds[kind] = kinds.get(kind, 0) + 1
    return kinds


def open_up(folder: Path) -> None:
    """Gives us back the folders that a stage has closed, so that they can be measured and removed."""
    for at, folders, _ in os.walk(folder):
        for name in folders:
            path = os.path.join(at, name)
            found = os.lstat(path)
            if stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_IRWXU != stat.S_IRWXU:
                os.chmod(path, stat.S_IMODE(found.st_mode) | stat.S_IRWXU)


def _kind(found: os.stat_result) -> str:
    if stat.S_ISLNK(found.st_mode):
        return "symbolic links"
    if stat.S_ISDIR(found.st_mode):
        return ""
    if not stat.S_ISREG(found.st_mode):
        return "pipes, sockets or devices"
    return "hard links" if found.st_nlink > 1 else ""
