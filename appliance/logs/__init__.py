"""The log store: one JSON object a line, in one rotated file a process.

Any module logs by `logging.getLogger(__name__)`; identifiers go in `extra={"study": ..., "order": ..., "code": ...}`. Messages
hold no patient value: sentences are written by us, and text from outside goes through `appliance.errors` facts only.
"""

import contextlib
import json
import logging
import logging.handlers
import sys
import time
import traceback
from datetime import UTC, datetime
from pathlib import Path

from appliance.moments import iso

FOLDER = "logs"
"""Below the home folder."""
FILE_BYTES = 20_000_000
FILES = 60
"""Kept files of one process at most; a new one begins each day, so that retention can go by days."""
DAY_S = 86_400
_FIELDS = ("study", "order", "code", "request", "sender", "anchor")


class JsonLines(logging.Formatter):
    """UTC time, level, process, message and our identifiers as one line."""

    def __init__(self, process: str) -> None:
        super().__init__()
        self._process = process

    def format(self, record: logging.LogRecord) -> str:
        """One record as one line of JSON; a traceback names places, never values."""
        line: dict[str, object] = {
            "at": iso(int(record.created * 1000)),
            "level": record.levelname.lower(),
            "process": self._process,
            "logger": record.name,
            "message": record.getMessage(),
        }
        line |= {name: value for name in _FIELDS if (value := getattr(record, name, None))}
        if record.exc_info and record.exc_info[0]:
            line["error"] = record.exc_info[0].__name__
            line["trace"] = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(record.exc_info[2])][-12:]
        return json.dumps(line, ensure_ascii=False)


class Plain(logging.Formatter):
    """The same for a person at a terminal."""

    def format(self, record: logging.LogRecord) -> str:
        """Time, level, message, and where an error came from."""
        line = f"{iso(int(record.created * 1000))[11:19]} {record.levelname.lower():7} {record.name}: {record.getMessage()}"
        if record.exc_info and record.exc_info[0]:
            place = traceback.extract_tb(record.exc_info[2])[-1]
            line += f" ({record.exc_info[0].__name__} at {place.filename}:{place.lineno})"
        return line


class DailyFile(logging.handlers.RotatingFileHandler):
    """A file that also ends with its day (UTC): what is deleted by age is a whole file.

    A closed file is named after the moment at which it was closed and keeps that name, so that its index stays true.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, maxBytes=FILE_BYTES, backupCount=FILES)
        self._day = _day(path.stat().st_mtime)

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        """Whether the file is full, or of an earlier day."""
        day = _day(record.created)
        earlier, self._day = self._day, day
        return day != earlier or bool(super().shouldRollover(record))

    def doRollover(self) -> None:
        """Closes the file under a name of its own and begins an empty one; the oldest ones beyond their number go."""
        if self.stream:
            self.stream.close()
        path = Path(self.baseFilename)
        moment = datetime.fromtimestamp(time.time(), UTC).strftime("%Y%m%dT%H%M%S.%f")
        # Not there: somebody deleted it while it was open.
        with contextlib.suppress(FileNotFoundError):
            path.rename(path.with_name(f"{path.name}.{moment}"))
        mine = sorted(path.parent.glob(f"{path.name}.*"), key=lambda one: one.stat().st_mtime)
        for one in mine[: -self.backupCount]:
            one.unlink(missing_ok=True)
        self.stream = self._open()


def _day(seconds: float) -> int:
    return int(seconds // DAY_S)


def set_level(level: str) -> None:
    """The least that this process writes; libraries that echo what peers send stay as quiet as they are."""
    wanted = logging.getLevelNamesMapping()[level.upper()]
    if logging.getLogger().level != wanted:
        logging.getLogger().setLevel(wanted)


def forget(home: Path, days: int, now: int, *, dry_run: bool = False) -> int:
    """Deletes closed log files last written to more than `days` ago; gives how many. 0 days is without end."""
    if not days:
        return 0
    gone = 0
    for file in (home / FOLDER).glob("*.jsonl.*"):
        try:
            if file.stat().st_mtime * 1000 < now - days * DAY_S * 1000:
                if not dry_run:
                    file.unlink()
                gone += 1
        except FileNotFoundError:
            continue  # its process has just turned it into the next number
    return gone


def start(home: Path, process: str) -> None:
    """Sends this process's log to `<home>/logs/<process>.jsonl`, and to standard error for a person."""
    root = logging.getLogger()
    root.handlers.clear()
    root.setLevel(logging.INFO)
    (home / FOLDER).mkdir(mode=0o700, parents=True, exist_ok=True)
    file = DailyFile(home / FOLDER / f"{process}.jsonl")
    file.setFormatter(JsonLines(process))
    root.addHandler(file)
    terminal = logging.StreamHandler(sys.stderr)
    terminal.setFormatter(Plain())
    root.addHandler(terminal)
    # Libraries that echo what peers send would put names of patients into the log.
    for chatty in ("pydicom", "piccolo", "pynetdicom", "httpx", "httpcore", "asyncio", "litestar", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.CRITICAL if chatty in ("pydicom", "pynetdicom") else logging.WARNING)
