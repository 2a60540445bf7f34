"""Saving a downloaded file on the machine that runs the console or the command."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from tui.trouble import Trouble


class NotSaved(Trouble):
    """The file could not be written here."""

    def __init__(self, path: Path, reason: str) -> None:
        self.what = f"{path} was not saved."
        self.why = reason
        self.next_step = "Go to a folder that you may write to, or use `ranvier results download --out FOLDER`."
        super().__init__(self.what)


def folder_at(name: str) -> Path:
    """A folder to save into, made where it is missing; raises `NotSaved`."""
    folder = Path(name)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise NotSaved(folder, f"{fault.strerror}.") from fault
    return folder


@contextmanager
def beginning(path: Path) -> Iterator[BinaryIO]:
    """A new file that only the user can read, for what comes in pieces; it is gone again when they do not all come."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise NotSaved(path, "There is already a file of this name.") from None
    except OSError as fault:
        raise NotSaved(path, f"{fault.strerror}.") from fault
    whole = False
    try:
        with open(handle, "wb") as file:
            yield file
        whole = True
    except OSError as fault:
        raise NotSaved(path, f"{fault.strerror}.") from fault
    finally:
        if not whole:
            path.unlink(missing_ok=True)


def save(path: Path, content: bytes) -> Path:
    """Writes a new file that only the user can read; never over another one."""
    with beginning(path) as file:
        file.write(content)
    return path
