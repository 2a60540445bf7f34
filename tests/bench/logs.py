"""The first 100 hits of a rare and of a common word in 10,000,000 lines of the log, beside ripgrep on the same files.

Ours is the search behind `GET /api/logs`, called in this process; ripgrep is told to search for the text as it stands and is
stopped behind 100 lines. Both find the files in the page cache, as far as memory goes. Beside them what the indexes cost:
their share of the files, and the processor time for a file of 20 MB beside ripgrep's for reading it once.
RANVIER_BENCH_LOG_LINES makes it smaller.
"""

import os
import random
import resource
import subprocess
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from appliance.logs import FILE_BYTES, index
from appliance.logs.search import Wanted, search
from appliance.moments import iso
from tests.bench.figures import Figure, figure
from tests.servers import program

LINES = int(os.environ.get("RANVIER_BENCH_LOG_LINES", "10000000"))
RUNS = int(os.environ.get("RANVIER_BENCH_RUNS", "5"))
HITS = 100
RARE, COMMON = "xylophone", "delivery"
RARE_LINES = 60
BEGIN = 1_760_000_000_000
GOAL_RARE, GOAL_COMMON = 5.0, 1.0
_SENTENCES = (
    "filed {a} instances ({b} resent, 0 conflicts, 0 set aside)",
    "association with PACS_{b} ended after {a} instances",
    "stage qc ended in {a} ms",
    "delivery {b} was sent in {a} ms",
)


def measure() -> list[Figure]:
    """Makes the files and their indexes, then asks both in turn."""
    with tempfile.TemporaryDirectory(prefix="ranvier-bench-") as name:
        folder = Path(name) / "logs"
        folder.mkdir()
        files = _files(folder)
        with ProcessPoolExecutor(2) as pool:
            cpu = list(pool.map(_indexed, files))
        figures = []
        for word, kind, goal in ((RARE, "rare", GOAL_RARE), (COMMON, "common", GOAL_COMMON)):
            pairs = [(_ours(folder, word), _ripgrep(folder, word)) for _ in range(RUNS + 1)][1:]
            title = f"first {HITS} hits of a {kind} word in {LINES:,} lines of the log"
            ours, peer = [one for one, _ in pairs], [one for _, one in pairs]
            figures.append(figure(title, ours, "ripgrep", peer, "s", "lower", goal=goal))
        text = sum(one.stat().st_size for one in files)
        indexes = sum(index.place_of(one).stat().st_size for one in files)
        title = f"indexes of {text / 1e9:.2f} GB of log files, beside the files"
        figures.append(figure(title, [indexes / 1e6], "log files", [text / 1e6], "MB", "lower"))
        read = [_reading(one) for one in files[:RUNS]]
        figures.append(figure("index of a log file of 20 MB, processor time", cpu, "ripgrep reads it", read, "s", "lower"))
        return figures


def _files(folder: Path) -> list[Path]:
    """Closed files of two processes, as full as the log makes them."""
    some, files = random.Random(3), []
    rare = set(some.sample(range(LINES), min(RARE_LINES, LINES)))
    lines = _lines(some, rare)
    for number in range(LINES):
        path = folder / f"{('receive', 'work')[number % 2]}.jsonl.20261122T{number:06d}.000000"
        size = 0
        with path.open("wb") as file:
            while size < FILE_BYTES and (line := next(lines, b"")):
                size += file.write(line)
        if not size:
            path.unlink()
            break
        files.append(path)
    return files


def _lines(some: random.Random, rare: set[int]) -> Iterator[bytes]:
    about, moment = "", ""
    for number in range(LINES):
        if number % 30 == 0:
            study, order = (f"{some.getrandbits(128):032x}" for _ in range(2))
            about = f'"study": "{_dashed(study)}", "order": "{_dashed(order)}"'
        if number % 8 == 0:
            moment = iso(BEGIN + number * 5)
        message = _SENTENCES[some.randrange(4)].format(a=some.randrange(1_000), b=some.randrange(100))
        message += f" {RARE}" if number in rare else ""
        level = "info" if some.random() < 0.98 else "warning"
        yield (
            f'{{"at": "{moment}", "level": "{level}", "process": "work", "logger": "appliance.pipeline", '
            f'"message": "{message}", {about}}}\n'
        ).encode()


def _dashed(digits: str) -> str:
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def _indexed(file: Path) -> float:
    begun = time.process_time()
    index.write(file)
    return time.process_time() - begun


def _ours(folder: Path, word: str) -> float:
    begun = time.perf_counter()
    found = search(folder, Wanted(text=word), limit=HITS)
    seconds = time.perf_counter() - begun
    assert len(found.lines) == (min(RARE_LINES, LINES) if word == RARE else HITS)
    return seconds


def _ripgrep(folder: Path, word: str) -> float:
    """Until it has told so many lines, or all."""
    options = ["--fixed-strings", "--no-filename", "--no-line-number", "--glob", "*.jsonl.*"]
    begun = time.perf_counter()
    with subprocess.Popen([program("rg", "ripgrep"), *options, word, str(folder)], stdout=subprocess.PIPE) as searching:
        assert searching.stdout is not None
        told = sum(1 for _, _ in zip(range(HITS), searching.stdout, strict=False))
        if told == HITS:
            searching.kill()
        else:
            searching.wait()
        seconds = time.perf_counter() - begun
    assert told
    return seconds


def _reading(file: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([program("rg", "ripgrep"), "--count", RARE, str(file)], stdout=subprocess.DEVNULL, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
