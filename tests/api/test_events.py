"""The live stream over a real connection."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api import stream
from api.app import create_app
from api.routes import events as route
from api.stream import GAP_MS, Feed, settled
from appliance.events import OrderMoved, Progress, StudyStable
from appliance.house import House
from appliance.moments import now_ms
from appliance.records import events
from appliance.records.engine import Records, migrate
from appliance.records.events import Stored
from appliance.records.tables import Session
from tests.api.conftest import Door, served

STUDY, OTHER = "01a20151-0000-7000-8000-000000000001", "01a20151-0000-7000-8000-000000000002"
PATIENCE_S = 20


@pytest.fixture
async def live(house: House) -> AsyncIterator[tuple[Door, str]]:
    """The app on a port, and who may ask it."""
    app = create_app(house)
    async with served(app) as address:
        yield Door(house, app, client=None), address  # type: ignore[arg-type]


async def _say(number: int, study: str = STUDY) -> int:
    return await events.append(StudyStable(study=study, version=1, instances=number), now_ms())


@contextlib.asynccontextmanager
async def _listening(live: tuple[Door, str], last: int | None = None, study: str = "") -> AsyncIterator[AsyncIterator[str]]:
    door, address = live
    _, cookie = await door.cookie("user")
    headers = {"Authorization": f"Bearer {cookie}", **({"Last-Event-ID": str(last)} if last is not None else {})}
    params = {"study": study} if study else None
    async with (
        httpx.AsyncClient(timeout=PATIENCE_S) as client,
        client.stream("GET", f"{address}/api/events", headers=headers, params=params) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        lines = answer.aiter_lines()
        assert await anext(lines) == ": connected"
        assert await anext(lines) == ""
        yield lines


async def _event(lines: AsyncIterator[str]) -> dict[str, Any]:
    """The next event; its three lines agree."""
    async with asyncio.timeout(PATIENCE_S):
        parts: dict[str, str] = {}
        while True:
            line = await anext(lines)
            if not line and parts:
                break
            name, _, value = line.partition(": ")
            if name:
                parts[name] = value
    found: dict[str, Any] = json.loads(parts["data"])
    assert parts["id"] == str(found["seq"])
    assert parts["event"] == found["name"]
    return found


async def test_what_happens_is_seen_as_it_happens(live: tuple[Door, str]) -> None:
    await _say(1)
    async with _listening(live) as lines:
        seq = await _say(2)
        seen = await _event(lines)
        assert (seen["seq"], seen["name"], seen["study"], seen["severity"]) == (seq, "study-stable", STUDY, "info")
        assert seen["text"] == "Study version 1 is stable with 2 instances."
        assert seen["body"]["instances"] == 2
        assert seen["at"].endswith("Z")


async def test_a_client_that_comes_back_gets_what_it_missed(live: tuple[Door, str]) -> None:
    """SSE with Last-Event-ID resumption."""
    first = await _say(1)
    missed = [await _say(number) for number in range(2, 7)]
    async with _listening(live, last=first) as lines:
        assert [(await _event(lines))["seq"] for _ in missed] == missed
        later = await _say(7)
        assert (await _event(lines))["seq"] == later


async def test_a_client_that_comes_back_late_loses_nothing_beyond_the_batches(
    live: tuple[Door, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream, "BATCH", 7)
    said = [await _say(number) for number in range(40)]
    async with _listening(live, last=0) as lines:
        found = [(await _event(lines))["seq"] for _ in said]
        said.append(await _say(41))
        found.append((await _event(lines))["seq"])
    assert found == said


async def test_many_clients_see_the_same_and_the_records_are_read_once(
    live: tuple[Door, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    reads: list[int] = []
    after = events.after

    async def counted(seq: int, *rest: Any, **named: Any) -> list[Stored]:
        rows = await after(seq, *rest, **named)
        reads.append(len(rows))
        return rows

    monkeypatch.setattr(events, "after", counted)
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(_listening(live)) for _ in range(6)]
        said = [await _say(number) for number in range(3)]
        for lines in clients:
            assert [(await _event(lines))["seq"] for _ in said] == said
    assert sum(reads) == 3, "each event was read from the records once, not once a client"


async def test_a_stream_of_one_study_holds_no_other(live: tuple[Door, str], house: House) -> None:
    for number, study in enumerate((STUDY, OTHER)):
        await house.records.run("INSERT INTO studies (id, uid_key) VALUES ({}, {})", study, str(number))
    async with _listening(live, last=0, study=STUDY[-8:]) as lines:
        await _say(1, OTHER)
        wanted = await _say(2, STUDY)
        assert (await _event(lines))["seq"] == wanted


async def test_progress_is_in_the_stream(live: tuple[Door, str]) -> None:
    async with _listening(live) as lines:
        progress = Progress(study=STUDY, order="o", stage="dti", step="Tensor", percent=40)
        await events.replace_progress(progress, now_ms())
        assert (await _event(lines))["body"]["percent"] == 40
        await events.replace_progress(Progress(study=STUDY, order="o", stage="dti", step="Tensor", percent=41), now_ms())
        assert (await _event(lines))["body"]["percent"] == 41


async def test_a_quiet_stream_beats_and_ends_with_its_session(live: tuple[Door, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(route, "BEAT_S", 0.05)
    async with _listening(live) as lines:
        assert await anext(lines) == ": beat"
        await Session.update({Session.revoked: True}, force=True).run()
        async with asyncio.timeout(PATIENCE_S):
            rest = [line async for line in lines]
        assert set(rest) <= {"", ": beat"}


async def test_the_end_of_the_server_ends_the_streams(house: House) -> None:
    app = create_app(house)
    async with asyncio.timeout(PATIENCE_S):
        async with served(app) as address:
            listening = _listening((Door(house, app, client=None), address))  # type: ignore[arg-type]
            lines = await listening.__aenter__()
        assert [line async for line in lines if line] == []
        await listening.__aexit__(None, None, None)


async def test_a_number_that_is_none_is_refused(live: tuple[Door, str]) -> None:
    door, address = live
    _, cookie = await door.cookie("user")
    async with httpx.AsyncClient() as client:
        for wrong in ("x", "-1", "1.5"):
            headers = {"Authorization": f"Bearer {cookie}", "Last-Event-ID": wrong}
            assert (await client.get(f"{address}/api/events", headers=headers)).status_code == 400


def _row(seq: int, age_ms: int) -> Stored:
    return Stored(seq=seq, at=1_000_000 - age_ms, name="x", severity="info", study="", order="", body=b"{}")  # type: ignore[arg-type]


def test_a_young_gap_is_waited_for_and_an_old_one_is_not() -> None:
    """On PostgreSQL a lower number may be committed after a higher one."""
    young, old = GAP_MS - 1, GAP_MS
    assert [row.seq for row in settled([_row(5, young), _row(6, young)], 4, 1_000_000)] == [5, 6]
    assert [row.seq for row in settled([_row(5, young), _row(7, young)], 4, 1_000_000)] == [5]
    assert [row.seq for row in settled([_row(6, young)], 4, 1_000_000)] == []
    assert [row.seq for row in settled([_row(6, old), _row(8, young)], 4, 1_000_000)] == [6]


async def test_on_postgresql_an_event_committed_late_is_not_lost(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: asyncio.Queue[list[int]] = asyncio.Queue()
    after = events.after

    async def told(*given: Any) -> list[Stored]:
        rows = await after(*given)
        reads.put_nowait([row.seq for row in rows])
        return rows

    async with Records(postgres_url) as records, asyncio.timeout(PATIENCE_S):
        await migrate(records)
        monkeypatch.setattr(events, "after", told)
        feed = Feed(gaps=True, cadence_s=0.02)
        async with feed.running():
            seen: asyncio.Queue[int] = asyncio.Queue()
            reader = asyncio.create_task(_collect(feed, seen))
            await reads.get()
            async with records.transaction():
                slow = await _say(1)
                move = OrderMoved(study=STUDY, order="o", old="QC", new="QUEUED")
                fast = await asyncio.to_thread(_append_elsewhere, postgres_url, move)
                while fast not in await reads.get():
                    """The higher number is there, the lower one is not committed yet."""
                assert seen.empty()
            assert [await seen.get(), await seen.get()] == [slow, fast]
            reader.cancel()
    assert slow < fast


async def _collect(feed: Feed, seen: "asyncio.Queue[int]") -> None:
    async for stored in feed.follow(None, beat_s=5):
        if stored is not None:
            seen.put_nowait(stored.seq)


def _append_elsewhere(url: str, event: OrderMoved) -> int:
    import asyncpg
    import msgspec

    async def insert() -> int:
        connection = await asyncpg.connect(url)
        try:
            return int(
                await connection.fetchval(
                    "INSERT INTO events (at, name, severity, study, order_id, body) "
                    "VALUES ($1, $2, $3, $4, $5, $6) RETURNING seq",
                    now_ms(),
                    event.name(),
                    event.severity,
                    event.study,
                    event.order,
                    msgspec.json.encode(event).decode(),
                )
            )
        finally:
            await connection.close()

    return asyncio.run(insert())
