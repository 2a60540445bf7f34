"""Inside a receiver under test: promises broken on purpose, and a record of what reached the disk before what was said.

A test of durability that cannot fail proves nothing: each kind of sabotage must be found by it.
"""

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

KINDS = ("answer-before-write", "no-sync", "no-proof")


def arrange(kind: str) -> None:
    """Breaks the receiver of this process in one way; nothing for an empty name."""
    if kind:
        {"answer-before-write": _answer_before_write, "no-sync": _no_sync, "no-proof": _no_proof}[kind]()


def _answer_before_write() -> None:
    """Success is said first, and the disk is asked later."""
    from appliance.receive import takes
    from appliance.receive.messages import store_response

    original: Any = takes.Storing.end

    def end(self: Any) -> None:
        answer, said = self._answer, store_response(self._command, 0)
        answer(said)
        self._answer = lambda _: None
        threading.Event().wait(0.05)
        original(self)
        self._answer = answer

    takes.Storing.end = end  # type: ignore[method-assign]


def _no_sync() -> None:
    """Written, but never synced: kill -9 does not notice, a power cut does."""
    os.fdatasync = lambda _: None  # type: ignore[assignment]


def _no_proof() -> None:
    """After a crash the hash and the commit mark are not looked at."""
    from appliance.receive import journal

    journal._hashed = lambda *_: journal_digest[-1]
    original = journal._RECORD.unpack
    journal_digest: list[bytes] = [b""]

    class Believing:
        size = journal._RECORD.size
        pack = staticmethod(journal._RECORD.pack)

        @staticmethod
        def unpack(header: bytes) -> Any:
            found = original(header)
            journal_digest.append(found[8])
            return found

    class Anything:
        size = 0

        @staticmethod
        def unpack(_: bytes) -> Any:
            return _Same(), _Same(), _Same(), _Same(), _Same()

    journal._RECORD = Believing  # type: ignore[assignment]
    journal._COMMIT = Anything  # type: ignore[assignment]


class _Same:
    """Equal to everything."""

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


def record(home: Path) -> None:
    """Keeps what a power cut would leave: bytes as of their last sync, names as of the last sync of their folder.

    `disk-for-test/log` gets a line for each write, sync and answer. The database is left alone: SQLite syncs by itself.
    """
    shadow = home / "disk-for-test"
    shadow.mkdir(exist_ok=True)
    log, lock = (shadow / "log").open("a", buffering=1), threading.RLock()
    storage = home / "storage"

    def watched(call: str, name: str, keep: Callable[[Path], None]) -> None:
        original = getattr(os, name)

        def recorded(handle: int, *arguments: Any) -> Any:
            answer = original(handle, *arguments)
            path = Path(os.readlink(f"/proc/self/fd/{handle}"))
            if storage in path.parents or path == storage:
                with lock:
                    keep(path)
                    log.write(f"{call} {path.relative_to(storage)}\n")
            return answer

        setattr(os, name, recorded)

    def bytes_synced(path: Path) -> None:
        target = shadow / "bytes" / path.relative_to(storage)
        if path.is_dir():
            names = shadow / "names" / path.relative_to(storage)
            names.mkdir(parents=True, exist_ok=True)
            (names / ".list").write_text("\n".join(one.name for one in path.iterdir()))
        elif path.suffix in (".journal", ".part", ".dcm"):
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)

    watched("write", "pwritev", lambda _: None)
    watched("sync", "fdatasync", bytes_synced)
    watched("sync", "fsync", bytes_synced)
    _watch_answers(log, lock)
    _watch_everything(storage, bytes_synced)


def _watch_answers(log: Any, lock: Any) -> None:
    from appliance.receive import takes

    module: Any = takes
    original = module.store_response

    def said(command: Any, status: int) -> bytes:
        with lock:
            log.write(f"answer {status:04x} {command.sop_instance.decode()}\n")
        return bytes(original(command, status))

    module.store_response = said


def _watch_everything(storage: Path, keep: Callable[[Path], None]) -> None:
    from appliance.receive import placing

    original = placing.sync_everything

    def synced(folder: Path, files: Any) -> None:
        original(folder, files)
        for path in [*folder.rglob("*"), folder]:
            keep(path)

    placing.sync_everything = synced


def cut_power(home: Path) -> None:
    """What the disk holds when everything that was never synced is gone; only for a receiver that was killed."""
    shadow, storage = home / "disk-for-test", home / "storage"
    for path in [*storage.rglob("*.journal"), *storage.rglob("*.dcm"), *storage.rglob("*.part")]:
        within = path.relative_to(storage)
        listed = shadow / "names" / within.parent / ".list"
        named = listed.exists() and path.name in listed.read_text().splitlines()
        # A segment is synced under its draft's name first; renaming changes no bytes.
        drafts = [shadow / "bytes" / within, shadow / "bytes" / within.parent / f".{path.stem}.part"]
        synced = next((one for one in drafts if one.exists()), None)
        if not named or synced is None:
            path.unlink()
        else:
            shutil.copyfile(synced, path)
