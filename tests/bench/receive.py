"""Receiving: instances a second until acknowledged and until filed, and CPU, beside storescp, Orthanc, pynetdicom and the disk.

All receivers run in turn in one run, each on a fresh folder that is deleted only at the end: deleting files slows down the
making of the next ones. Ours syncs every instance before it answers, and its figures include filing and indexing; Orthanc syncs
as well (its default), storescp +B and pynetdicom's handler do not. The floor appends and syncs the same bytes of loopback.

`RANVIER_BENCH_RUNS` (5) and `RANVIER_BENCH_COUNT` (1,000 small instances to a fast receiver) choose the size; with 2 and 200 it
is a trial of a few minutes. `RANVIER_BENCH_ONLY` names some of: encoded, large, tls, dcmtk, full; `RANVIER_BENCH_FULL` says how
many instances stand in the records of the last.

Where the time of one instance of 43 KB goes (2 cores, sampled with the interpreter's lock held): taking PDUs apart 17 %, hash
and record 15 %, head of the data set for the answer 6 %, answer 8 %, scanning the head for filing 18 %, rows and files 22 %. On
a quiet disk the sync is 0.15 to 0.3 ms and the rest 0.3 ms, so that an unsynced receiver that makes files in a warm page cache
(storescp: 0.16 ms) is faster than any receiver that waits for a disk can be; where making files is slow, it is the other way
round. The published ratio to it is therefore one of durable to volatile. The triggers that keep the words of studies searchable
cost nothing that can be told from noise: filing of 2,000 instances of one study takes 0.14-0.21 ms each with them and 0.15-0.18
without, of 250 studies of one instance 2.7-3.5 and 2.4-3.4 ms.
"""

import contextlib
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.bench.figures import Figure, figure
from tests.bench.loads import LARGE_BYTES, SMALL_BYTES, Run, dcmtk_sender, load, padded
from tests.bench.receivers import STARTERS, How, Peer
from tests.phantoms import a_small_diffusion_study
from tests.senders import Sent

RUNS = int(os.environ.get("RANVIER_BENCH_RUNS", "5"))
COUNT = int(os.environ.get("RANVIER_BENCH_COUNT", "1000"))
PARTS = ("encoded", "large", "tls", "dcmtk", "full")
ONLY = os.environ.get("RANVIER_BENCH_ONLY", "").replace(",", " ").split() or list(PARTS)
FULL = int(os.environ.get("RANVIER_BENCH_FULL", "1000000"))
_SHARES = {"ours": 1.0, "storescp +B": 1.0, "floor": 1.0, "Orthanc": 0.4, "pynetdicom": 0.2}
"""A slow receiver gets fewer instances, so that all take about as long."""
_GOALS = {
    ("encoded", "Orthanc", 1): 8.0,
    ("encoded", "Orthanc", 4): 6.0,
    ("encoded", "storescp +B", 1): 1.0,
    ("encoded", "floor", 1): 0.5,
    ("encoded", "pynetdicom", 1): 16.0,
    ("tls", "storescp +B", 1): 1.0,
}
_WORDS = {"encoded": "43 KB", "large": "0.5 MB", "tls": "43 KB, TLS"}
_WITHIN = 1 / 1.3


@dataclass(frozen=True)
class Cell:
    """One receiver under one load."""

    part: str
    which: str
    associations: int


def cells() -> list[Cell]:
    """What one run measures, plain senders first."""
    found = []
    for part in ("encoded", "large", "tls"):
        for associations in (1, 2, 4):
            for which in STARTERS:
                alone = which in ("floor", "pynetdicom")
                if part in ONLY and not (alone and associations > 1) and not (part == "tls" and which == "floor"):
                    found.append(Cell(part, which, associations))
    return found


def measure() -> list[Figure]:
    """All receivers in turn, as often as asked."""
    found: defaultdict[Cell, list[Run]] = defaultdict(list)
    stock: defaultdict[tuple[str, str, bool], list[float]] = defaultdict(list)
    full: defaultdict[str, list[Run]] = defaultdict(list)
    with tempfile.TemporaryDirectory(prefix="ranvier-bench-") as name:
        folder = Path(name)
        small = padded(Sent.of(a_small_diffusion_study(folder / "study").files[0]), SMALL_BYTES)
        large = padded(small, LARGE_BYTES)
        if "full" in ONLY:
            a_full_home(folder / "full")
        for run in range(RUNS):
            everything = cells()
            turn = run * len(everything) // max(1, RUNS)
            for number, cell in enumerate(everything[turn:] + everything[:turn]):
                found[cell].append(_one(cell, folder / f"{run}-{number}", large if cell.part == "large" else small))
                print(run, cell, found[cell][-1], flush=True)
            if "dcmtk" in ONLY:
                _with_dcmtk(folder / f"{run}-dcmtk", small, stock)
            if "full" in ONLY:
                _filled(folder, run, small, full)
    return [*_rates(found), *_filing(found), *_dcmtk_figures(stock), *_full_figures(full)]


def _one(cell: Cell, folder: Path, template: Sent) -> Run:
    count = COUNT * SMALL_BYTES * 2 // LARGE_BYTES if cell.part == "large" else COUNT
    count = max(cell.associations, int(count * _SHARES[cell.which]))
    how = How(tls=cell.part == "tls", several=cell.associations > 1)
    with STARTERS[cell.which](folder, how) as peer:
        return load(peer, template, count, cell.associations)


def _with_dcmtk(folder: Path, template: Sent, stock: dict[tuple[str, str, bool], list[float]]) -> None:
    for nagle in (True, False):
        for which in ("ours", "storescp +B", "Orthanc"):
            with STARTERS[which](folder / f"{which.split()[0]}{nagle}", How(nagle=nagle)) as peer:
                for sender in ("storescu", "dcmsend"):
                    seconds = dcmtk_sender(
                        peer, folder / f"sent-{which.split()[0]}{nagle}{sender}", template, sender, nagle=nagle
                    )
                    stock[sender, which, nagle].append(seconds)
                    print(sender, which, "stock" if nagle else "TCP_NODELAY=1", f"{seconds:.2f} s", flush=True)


def _filled(folder: Path, run: int, template: Sent, full: dict[str, list[Run]]) -> None:
    """The same load into records that are empty and into records of a million instances."""
    for name, home in (("empty", folder / f"empty-{run}"), ("full", folder / "full"))[:: 1 if run % 2 else -1]:
        with _ours_again(home) as peer:
            full[name].append(load(peer, template, COUNT, 1, offset=run * COUNT))
            print(run, name, full[name][-1], flush=True)


@contextlib.contextmanager
def _ours_again(home: Path) -> Iterator[Peer]:
    with STARTERS["ours"](home, How()) as peer:
        yield peer


def a_full_home(home: Path, count: int = FULL) -> None:
    """A home whose records hold so many instances of 2,000 studies; there are no files of them."""
    import asyncio

    from appliance.house import open_house
    from tests.bulk import many_studies

    print(f"making records of {count} instances ...", flush=True)

    async def fill() -> None:
        async with open_house(home, create=True) as house:
            await many_studies(house.records, 2_000)
            for pragma in ("synchronous=OFF", "cache_size=-600000"):
                await house.records.run("PRAGMA " + pragma)
            each = max(1, count // 2_000)
            await house.records.run(
                "INSERT INTO instances (id, study, series, version, sop_key, sop_class, transfer_syntax, content_hash, bytes, "
                "path, conflict, sender, received_at) SELECT printf('%s-%05d', substr(s.id, 1, 24), n.i), s.id, s.id, 1, "
                "lower(hex(randomblob(16))), '1.2.840.10008.5.1.4.1.1.4', '1.2.840.10008.1.2.1', lower(hex(randomblob(32))), "
                "43000, 'studies/' || s.id || '/v1/original/' || n.i || '.dcm', 0, 'MR', s.first_at FROM studies s, "
                f"(WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {each}) SELECT i FROM n) n"
            )
            await house.records.run("PRAGMA wal_checkpoint(TRUNCATE)")

    asyncio.run(fill())


# --- the table --------------------------------------------------------------------------------------------------------


def _rates(found: dict[Cell, list[Run]]) -> list[Figure]:
    figures = []
    for cell, runs in sorted(found.items(), key=lambda one: (PARTS.index(one[0].part), one[0].associations)):
        mine = found.get(Cell(cell.part, "ours", cell.associations), [])
        if cell.which == "ours" or not mine:
            continue
        words = f"{cell.associations} association{'s' * (cell.associations > 1)}, {_WORDS[cell.part]}"
        rates = [one.rate for one in mine], [one.rate for one in runs]
        goal = _GOALS.get((cell.part, cell.which, cell.associations))
        figures.append(figure(f"acknowledged, {words}", rates[0], cell.which, rates[1], "/s", "higher", goal=goal))
        if cell.which == "storescp +B" and cell.associations > 1:
            # Its children end with their associations and are not waited for, so that nobody knows what they used.
            continue
        cpu = [one.cpu_ms for one in mine], [one.cpu_ms for one in runs]
        goal = 5.0 if cell.which == "Orthanc" and cell.part == "encoded" else None
        figures.append(figure(f"CPU, {words}", cpu[0], cell.which, cpu[1], "ms/instance", "lower", goal=goal))
    return figures


def _filing(found: dict[Cell, list[Run]]) -> list[Figure]:
    figures = []
    for cell, runs in found.items():
        if cell.which == "ours" and cell.part == "encoded":
            name = f"filed and indexed, {cell.associations} assoc."
            through, rate = [one.through for one in runs], [one.rate for one in runs]
            figures.append(figure(name, through, "ours until acknowledged", rate, "/s", "higher", goal=round(_WITHIN, 2)))
    mine, theirs = (found.get(Cell("encoded", which, 4), []) for which in ("ours", "Orthanc"))
    if mine and theirs:
        memory = [one.memory_mb for one in mine], [one.memory_mb for one in theirs]
        figures.append(figure("memory (PSS; at most 120 MB), 4 assoc.", memory[0], "Orthanc", memory[1], "MB", "lower"))
        most = [one.cpu_ms for one in mine]
        figures.append(figure("CPU all told, 4 assoc.", most, "0.8 ms", [0.8] * len(most), "ms/instance", "lower", goal=1.0))
    return figures


def _dcmtk_figures(stock: dict[tuple[str, str, bool], list[float]]) -> list[Figure]:
    figures = []
    for (sender, which, nagle), seconds in stock.items():
        if which != "ours":
            goal = 15.0 if sender == "storescu" and nagle and which.startswith("storescp") else None
            name = f"{'stock ' * nagle}{sender}{'' if nagle else ' with TCP_NODELAY=1'}, 49 instances"
            figures.append(figure(name, stock[sender, "ours", nagle], which, seconds, "s", "lower", goal=goal))
    return figures


def _full_figures(full: dict[str, list[Run]]) -> list[Figure]:
    if not full:
        return []
    rates = [one.rate for one in full["full"]], [one.rate for one in full["empty"]]
    through = [one.through for one in full["full"]], [one.through for one in full["empty"]]
    return [
        figure(f"acknowledged, {FULL:,} instances indexed", rates[0], "ours with none", rates[1], "/s", "higher", goal=0.9),
        figure(f"filed, {FULL:,} instances indexed", through[0], "ours with none", through[1], "/s", "higher", goal=0.9),
    ]
