"""A report into a folder, a mounted share for example: each file complete under its name, or not there."""

import asyncio
import errno
import os
from pathlib import Path

from appliance.delivery.parcel import Outcome, Parcel, Result
from appliance.delivery.section import Folder
from appliance.probe import Probe

_FINAL = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ENAMETOOLONG)


async def send(parcel: Parcel, section: Folder) -> Outcome:
    """Writes the parcel's files; one that is there already with the same content stays as it is.

    A folder that is away (a share that is not mounted), full or faulty is tried again; one that may not be written is REFUSED.
    """
    wanted = [one for one in section.formats if one in parcel.files]
    if not wanted:
        return Outcome(
            result=Result.REFUSED, answer=f"This {parcel.kind} has none of the formats {', '.join(section.formats)}."
        )
    return await asyncio.to_thread(_send, [Path(parcel.files[one]) for one in wanted], Path(section.folder))


async def probe(section: Folder) -> Probe:
    """Writes an empty marked file and takes it away again."""
    return await asyncio.to_thread(_probe, Path(section.folder))


def _send(files: list[Path], folder: Path) -> Outcome:
    try:
        if not folder.is_dir():
            return Outcome(result=Result.TRY_AGAIN, answer="The folder is not there; is the share mounted?")
        there = [_put(file.read_bytes(), folder / file.name) for file in files]
    except OSError as fault:
        result = Result.REFUSED if fault.errno in _FINAL else Result.TRY_AGAIN
        return Outcome(result=result, answer=f"The folder cannot be written: {_words(fault)}.")
    words = f"{len(files)} file(s) written" if not all(there) else "the same file(s) were there already"
    return Outcome(result=Result.SENT, answer=f"{words[0].upper()}{words[1:]}.")


def _put(content: bytes, target: Path) -> bool:
    """Writes one file durably; true when it was there already."""
    if target.is_file() and target.read_bytes() == content:
        return True
    draft = target.with_name(f".{target.name}.part")
    with draft.open("wb") as written:
        written.write(content)
        written.flush()
        os.fsync(written.fileno())
    draft.replace(target)
    handle = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as fault:
        # Some network file systems cannot sync a folder, and say so.
        if fault.errno != errno.EINVAL:
            raise
    finally:
        os.close(handle)
    return False


def _probe(folder: Path) -> Probe:
    if not folder.is_dir():
        return Probe(ok=False, lines=["The folder is not there; is the share mounted?"])
    mark = folder / f".ranvier-test-{os.getpid()}"
    try:
        mark.write_bytes(b"")
        mark.unlink()
    except OSError as fault:
        return Probe(ok=False, lines=[f"The folder cannot be written: {_words(fault)}."])
    return Probe(ok=True, lines=["The folder is there and can be written. Nothing was left in it by this test."])


def _words(fault: OSError) -> str:
    return (os.strerror(fault.errno) if fault.errno else type(fault).__name__).lower()
