"""Figures of a bench: measured, compared with a peer of the same run, written as JSON and as one table."""

import json
import os
import platform
import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Literal

RESULTS = Path(__file__).parent / "results"
TABLE = Path(__file__).parent / "RESULTS.md"
Better = Literal["higher", "lower"]


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure beside its peer's; `ratio` above 1 means that ours is better."""

    figure: str
    ours: float
    peer: str
    peer_value: float
    unit: str
    better: Better
    ratio: float
    goal_ratio: float | None
    date: str
    cores: int
    versions: dict[str, str]


def figure(
    name: str,
    ours: list[float],
    peer: str,
    peer_values: list[float],
    unit: str,
    better: Better,
    *,
    goal: float | None = None,
    packages: tuple[str, ...] = (),
) -> Figure:
    """The median of ours and of the peer, and the median of the ratios pair by pair (of the medians for unpaired runs)."""
    pairs = zip(ours, peer_values, strict=False)
    ratios = [(theirs / mine) if better == "lower" else (mine / theirs) for mine, theirs in pairs]
    versions = {"python": platform.python_version(), "ranvier": version("ranvier")} | {one: version(one) for one in packages}
    return Figure(
        figure=name,
        ours=round(statistics.median(ours), 4),
        peer=peer,
        peer_value=round(statistics.median(peer_values), 4),
        unit=unit,
        better=better,
        ratio=round(statistics.median(ratios), 3),
        goal_ratio=goal,
        date=datetime.now(UTC).date().isoformat(),
        cores=os.cpu_count() or 1,
        versions=versions,
    )


def write(name: str, figures: list[Figure]) -> None:
    """Stores the figures of one bench and makes the table of all benches anew."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps([asdict(one) for one in figures], indent=1) + "\n")
    TABLE.write_text(table())


def table() -> str:
    """All stored results as Markdown, each bench with the notes that stand beside its results (`NAME.md`)."""
    lines = [
        "# Measurements",
        "",
        "Made by `tests/bench/run NAME`; each ratio is to the named peer in the same run on the same machine (above 1: ours is",
        "better). Absolute figures are of a shared two-core machine and only the ratios should be quoted.",
        "",
    ]
    for file in sorted(RESULTS.glob("*.json")):
        lines += [f"## {file.stem}", "", "| figure | ours | peer | peer's | unit | ratio | goal | date |"]
        lines += ["|---|---|---|---|---|---|---|---|"]
        for one in json.loads(file.read_text()):
            goal = one["goal_ratio"] if one["goal_ratio"] is not None else "-"
            unit = f"{one['unit']} ({one['better']} is better)"
            cells = (one["figure"], f"{one['ours']:g}", one["peer"], f"{one['peer_value']:g}", unit, f"{one['ratio']:g}")
            lines.append(f"| {' | '.join(cells)} | {goal} | {one['date']} |")
        lines.append("")
        notes = file.with_suffix(".md")
        if notes.exists():
            lines += [notes.read_text()]
    return "\n".join(lines)


def repeated(times: int, *measures: Callable[[], float]) -> list[list[float]]:
    """Runs the measures in turn, so that a drift of the machine meets all of them alike; one list each."""
    found: list[list[float]] = [[] for _ in measures]
    for _ in range(times):
        for values, measure in zip(found, measures, strict=True):
            values.append(measure())
    return found
