"""The log store finds what stands in it, with and without an index, the newest line first (UI-03)."""

import json
import logging
import random
from pathlib import Path
from typing import Any

import pytest

from appliance import logs
from appliance.logs import index
from appliance.logs.search import BadCursor, Line, Wanted, search
from appliance.moments import iso

BEGIN = 1_790_000_000_000
WORDS = ("filed", "instances", "refused", "Größe", "conflict", 'said "no"', "a\\b", "x-ray", "PACS", "pacs-2")
STUDIES = tuple(f"0193{number:04x}-7000-7000-8000-{number * 7919:012x}" for number in range(40))


def a_line(number: int, some: random.Random, process: str) -> dict[str, Any]:
    line = {
        # Several lines share a moment.
        "at": iso(BEGIN + number // 3 * 1000),
        "level": some.choice(("debug", "info", "info", "info", "warning", "error")),
        "process": process,
        "logger": "appliance.x",
        "message": " ".join(some.choice(WORDS) for _ in range(4)) + f" {number}",
    }
    if some.random() < 0.5:
        line["study"] = some.choice(STUDIES)
    return line


def written(path: Path, lines: list[dict[str, Any]], *, padding: int = 0) -> None:
    """As the log writes them; `padding` makes blocks of few lines."""
    rows = [json.dumps(one | ({"trace": ["." * padding]} if padding else {}), ensure_ascii=False) for one in lines]
    path.write_text("".join(f"{one}\n" for one in rows))


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """Two processes: a closed file of several blocks with its index, one without, and an open one of each."""
    folder, some, everything = tmp_path_factory.mktemp("logs"), random.Random(5), []
    for process in ("receive", "work"):
        lines = [a_line(number, some, process) for number in range(600)]
        everything += lines
        files = ("jsonl.20261122T000000.000001", "jsonl.20261122T000000.000002", "jsonl")
        for part, name in enumerate(files):
            written(folder / f"{process}.{name}", lines[part * 200 : part * 200 + 200], padding=2_000)
    index.keep(folder)
    for process in ("receive", "work"):
        index.place_of(folder / f"{process}.jsonl.20261122T000000.000002").unlink()
    return folder, everything


def fits(line: dict[str, Any], wanted: Wanted) -> bool:
    """The same question, asked in the plainest way."""
    rest = json.dumps({name: value for name, value in line.items() if name != "at"}, ensure_ascii=False)[1:]
    text = json.dumps(wanted.text, ensure_ascii=False)[1:-1]
    if text == text.lower():
        rest = "".join(one.lower() if one.isascii() else one for one in rest)
    levels = ("debug", "info", "warning", "error", "critical")
    return (
        text in rest
        and levels.index(line["level"]) >= levels.index(wanted.level)
        and (not wanted.process or line["process"] == wanted.process)
        and line.get("study", "").startswith(wanted.study)
        and (not wanted.since or line["at"] >= wanted.since)
        and (not wanted.until or line["at"] < wanted.until)
    )


def told(line: Line) -> tuple[str, str, str]:
    return line.at, line.process, line.message


QUESTIONS = [
    Wanted(),
    Wanted(text="refused"),
    Wanted(text="PACS"),
    Wanted(text="pacs"),
    Wanted(text="acs-"),
    Wanted(text="Größe"),
    Wanted(text='said "no"'),
    Wanted(text="a\\b x"),
    Wanted(text="conflict 5"),
    Wanted(text="filed instances"),
    Wanted(text="iled instan"),
    Wanted(text="nowhere"),
    Wanted(text=STUDIES[3]),
    Wanted(text=STUDIES[3][9:20]),
    Wanted(level="warning"),
    Wanted(level="error", text="conflict", process="work"),
    Wanted(study=STUDIES[7]),
    Wanted(study=STUDIES[7][:8], level="info"),
    Wanted(since=iso(BEGIN + 50_000), until=iso(BEGIN + 90_000)),
    Wanted(since=iso(BEGIN + 70_000), text="refused"),
    Wanted(until=iso(BEGIN + 20_000), process="receive"),
    Wanted(until="2000"),
    Wanted(since="2100"),
]


@pytest.mark.parametrize("wanted", QUESTIONS)
def test_exactly_what_fits_is_found_and_the_newest_comes_first(
    wanted: Wanted, store: tuple[Path, list[dict[str, Any]]]
) -> None:
    folder, everything = store
    page = search(folder, wanted, limit=10_000)
    expected = sorted((one["at"], one["process"], one["message"]) for one in everything if fits(one, wanted))
    assert sorted(told(one) for one in page.lines) == expected
    assert [one.at for one in page.lines] == sorted((one.at for one in page.lines), reverse=True)
    assert page.cursor == ""


@pytest.mark.parametrize("size", [1, 2, 7, 50])
def test_pages_follow_each_other_without_a_gap_also_within_one_moment(
    size: int, store: tuple[Path, list[dict[str, Any]]]
) -> None:
    folder, _ = store
    wanted = Wanted(text="conflict", level="warning")
    whole = search(folder, wanted, limit=10_000).lines
    found: list[Line] = []
    cursor = ""
    while True:
        page = search(folder, wanted, limit=size, cursor=cursor)
        found += page.lines
        cursor = page.cursor
        if not cursor:
            break
    assert found == whole
    assert len(whole) > 50


def test_random_pieces_of_lines_are_found_again(store: tuple[Path, list[dict[str, Any]]]) -> None:
    """Whatever is cut out of a message is found where it stood: the index rules nothing out that is there."""
    folder, everything = store
    some = random.Random(11)
    for _ in range(60):
        line = some.choice(everything)
        start = some.randrange(len(line["message"]) - 1)
        piece = line["message"][start : start + some.randrange(1, 20)]
        found = {told(one) for one in search(folder, Wanted(text=piece), limit=10_000).lines}
        assert (line["at"], line["process"], line["message"]) in found, piece


def test_a_rare_word_is_looked_for_in_its_blocks_only(store: tuple[Path, list[dict[str, Any]]]) -> None:
    folder, _ = store
    file = folder / "work.jsonl.20261122T000000.000001"
    assert index.blocks_with(file, [b"nowhere"]) == set()
    blocks = index.blocks_with(file, [b"conflict 5"])
    assert blocks is None or len(blocks) < file.stat().st_size // index.BLOCK_BYTES
    (one,) = index.blocks_with(file, [b"137"]) or {-1}
    start, end = index.bounds(file.read_bytes(), one * index.BLOCK_BYTES, index.BLOCK_BYTES)
    assert b" 137" in file.read_bytes()[start:end]


def test_a_line_that_a_death_has_torn_is_left_out(tmp_path: Path) -> None:
    written(tmp_path / "work.jsonl", [a_line(1, random.Random(1), "work")])
    with (tmp_path / "work.jsonl").open("ab") as file:
        file.write(b'{"at": "2026-11-22T00:00:00.000Z", "level": "in')
    assert len(search(tmp_path, Wanted(), limit=10).lines) == 1


def test_nothing_logged_yet_is_nothing_found(tmp_path: Path) -> None:
    (tmp_path / "work.jsonl").touch()
    assert search(tmp_path, Wanted(text="x"), limit=10).lines == []
    assert search(tmp_path / "nowhere", Wanted(), limit=10).lines == []


@pytest.mark.parametrize("cursor", ["x", "2026|", "|3", "2026-11-22T00:00:00.000Z|-1"])
def test_a_cursor_that_nobody_gave_is_refused(cursor: str, tmp_path: Path) -> None:
    with pytest.raises(BadCursor):
        search(tmp_path, Wanted(), limit=10, cursor=cursor)


def test_closed_files_keep_their_names_and_the_oldest_go_with_their_index(tmp_path: Path) -> None:
    file = logs.DailyFile(tmp_path / "api.jsonl")
    file.maxBytes, file.backupCount = 300, 3
    file.setFormatter(logs.JsonLines("api"))
    names: set[str] = set()
    try:
        for number in range(40):
            file.handle(logging.LogRecord("x", logging.INFO, "", 0, f"line {number}", None, None))
            index.keep(tmp_path)
            names |= {one.name for one in index.closed(tmp_path)}
    finally:
        file.close()
    index.keep(tmp_path)
    assert len(names) > 4, "each has a name of its own"
    assert len(index.closed(tmp_path)) == 3
    assert {one.name for one in (tmp_path / index.FOLDER).iterdir()} == {one.name for one in index.closed(tmp_path)}
    found = [one.message for one in search(tmp_path, Wanted(text="line"), limit=100).lines]
    assert found == [f"line {number}" for number in range(39, 39 - len(found), -1)]
    assert len(found) >= 6
