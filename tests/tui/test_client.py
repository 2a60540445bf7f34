"""The client: sessions, problems, the live stream's format."""

import httpx
import pytest

from tests.tui.facts import PASSWORD, USER, identifier
from tests.tui.world import World
from tui.client import Client
from tui.contract import Me, StudyPage
from tui.live import Beat, EventParser, Lost, SignedOut, follow
from tui.trouble import Problem, StrangeAnswer, Unreachable


def client_of(world: World, token: str = "") -> Client:
    """A client over the world in memory."""
    return Client("http://gw01:3001/", token, transport=world.transport())


def answering(response: httpx.Response) -> Client:
    """A client whose every call gets the same answer."""
    return Client("http://gw01:3001", "t", transport=httpx.MockTransport(lambda request: response))


async def test_the_cookie_of_the_sign_in_serves_as_bearer_token(world: World) -> None:
    async with client_of(world) as client:
        await client.login(USER, PASSWORD)
        assert client.token == "session-1"
        assert (await client.get("/api/me", Me)).user == USER


async def test_a_newer_cookie_in_any_answer_prolongs_the_session() -> None:
    answer = httpx.Response(200, json={"user": "a"}, headers={"set-cookie": "ranvier_session=newer; Path=/; HttpOnly"})
    async with answering(answer) as client:
        await client.get("/api/me", Me)
        assert client.token == "newer"


async def test_a_problem_keeps_the_apis_words(world: World) -> None:
    async with client_of(world, world.token()) as client:
        with pytest.raises(Problem) as caught:
            await client.get("/api/studies", StudyPage, q="wrong:x")
    problem = caught.value
    assert (problem.status, problem.code, problem.position, problem.request_id) == (400, "filter", 0, "req-1")


async def test_an_answer_that_is_no_problem_json_is_still_a_problem() -> None:
    async with answering(httpx.Response(502, text="<html>bad gateway</html>")) as client:
        with pytest.raises(Problem) as caught:
            await client.get("/api/me", Me)
    assert "502" in caught.value.what


async def test_an_answer_in_another_form_is_named_and_not_half_read() -> None:
    async with answering(httpx.Response(200, text="<html>a login portal</html>")) as client:
        with pytest.raises(StrangeAnswer):
            await client.get("/api/me", Me)


async def test_nobody_at_the_address_is_said_with_what_to_do(world: World) -> None:
    world.down = True
    async with client_of(world, world.token()) as client:
        with pytest.raises(Unreachable) as caught:
            await client.get("/api/me", Me)
    assert caught.value.what == "Cannot reach http://gw01:3001."
    assert "api service" in caught.value.next_step


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        ('attachment; filename="4efb_report.pdf"', "4efb_report.pdf"),
        ('attachment; filename="../../etc/passwd"', "passwd"),
        ('attachment; filename="..\\\\..\\\\x.pdf"', "x.pdf"),
        ('attachment; filename=".bashrc"', "bashrc"),
        ("", "download"),
    ],
)
async def test_the_name_of_a_download_never_leaves_its_folder(disposition: str, name: str) -> None:
    answer = httpx.Response(200, content=b"x", headers={"content-disposition": disposition})
    async with answering(answer) as client:
        assert (await client.download("/api/reports/1/pdf")).name == name


def test_an_event_is_complete_at_its_blank_line() -> None:
    parser = EventParser()
    assert [parser.line(line) for line in ("id: 7", "event: x", 'data: {"seq": 7,', 'data: "name": "x"}')] == [None] * 4
    found = parser.line("")
    assert found is not None and (found.seq, found.name, parser.last_id) == (7, "x", "7")


def test_an_event_cut_in_the_middle_is_neither_shown_nor_counted() -> None:
    parser = EventParser()
    for line in ("id: 7", 'data: {"name": "a"}', "", "id: 8", 'data: {"na'):
        parser.line(line)
    parser.drop()
    assert parser.last_id == "7"
    assert parser.line("") is None


def test_an_event_that_cannot_be_read_still_means_that_something_changed() -> None:
    parser = EventParser()
    parser.line("data: not json")
    found = parser.line("")
    assert found is not None and found.name == "unknown"


async def test_the_stream_ends_when_the_session_does(world: World) -> None:
    async with client_of(world, "no-session") as client:
        happenings = [one async for one in follow(client, _no_pause)]
    assert happenings == [SignedOut()]


async def test_waits_grow_while_nobody_answers_and_start_anew_after_a_connection(world: World) -> None:
    world.down = True
    waits: list[float] = []
    client = client_of(world, world.token())

    async def pause(seconds: float) -> None:
        waits.append(seconds)
        world.down = len(waits) < 4

    async for happening in follow(client, pause):
        if isinstance(happening, Beat):
            if len(waits) >= 5:
                break
            if world.listeners:
                world.cut()
        elif isinstance(happening, Lost) and len(waits) > 8:
            break
    await client.close()
    assert waits[:5] == [1.0, 2.0, 3.0, 5.0, 1.0]


async def test_a_resumed_stream_says_that_nothing_was_missed(world: World) -> None:
    client = client_of(world, world.token())
    seen: list[object] = []
    async for happening in follow(client, _no_pause):
        seen.append(happening)
        if isinstance(happening, Beat) and len(seen) == 2:
            world.emit("study-stable", identifier(0))
            world.cut()
        if isinstance(happening, Beat) and any(isinstance(one, Lost) for one in seen):
            break
    await client.close()
    assert seen[0] == Beat(resumed=False)
    assert seen[-1] == Beat(resumed=True)


async def _no_pause(seconds: float) -> None:
    return None
