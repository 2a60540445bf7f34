"""Writes `tests/long/RESULTS.md` after `tests/run --long`: one row for each test marked `long`, with the figures it recorded.

A test records a figure with pytest's own fixture: `record_property("instances lost", 0)`. A run that names only some tests
replaces only their rows.
"""

import datetime
import os
import platform
import re
from pathlib import Path

import pytest

RESULTS = Path(__file__).with_name("RESULTS.md")
_SAYS = "says"
_ROW = re.compile(r"^\| `([^`]+)` \|")
_HEAD = """# What the full counts gave

Written by `tests/run --long`; each row is one test, with the figures that it recorded.

| test | what it shows | result | figures | seconds | when and where |
|---|---|---|---|---|---|
"""

_rows: dict[str, str] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sends each long test's own sentence along with its report (from a worker process too)."""
    for item in items:
        if item.get_closest_marker("long"):
            says = getattr(getattr(item, "function", None), "__doc__", None) or item.name.removeprefix("test_").replace(
                "_", " "
            )
            item.user_properties.append((_SAYS, " ".join(says.split())))


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Gathers one row, in the process that writes them."""
    figures = dict(report.user_properties)
    if _SAYS not in figures or (report.when != "call" and not report.failed):
        return
    says = str(figures.pop(_SAYS))
    cells = (
        f"`{report.nodeid}`",
        says,
        report.outcome,
        "; ".join(f"{name}: {value}" for name, value in figures.items()),
        f"{report.duration:.0f}",
        f"{datetime.date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}",
    )
    _rows[report.nodeid] = "| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |"


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Merges the new rows into the file."""
    if hasattr(session.config, "workerinput") or not _rows:
        return
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    kept = {match.group(1): line for line in lines if (match := _ROW.match(line))}
    RESULTS.write_text(_HEAD + "\n".join(row for _, row in sorted((kept | _rows).items())) + "\n")
