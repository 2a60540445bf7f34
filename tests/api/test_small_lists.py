"""Small lists are paged by cursor and filtered like the large ones, and what makes something makes it once."""

from collections.abc import Callable
from typing import Any

import pytest

from appliance.events import AssociationRefused
from appliance.records import drops, events, notices, pulls
from appliance.records.pulls import Wanted
from tests.api.conftest import Door, Filed

NOW = 1_800_000_000_000
NOT_BY_KEY = {
    # The newest secret counts until it is confirmed: whoever asks twice has one, not two.
    "beginSecondFactor",
    # Instances are told apart by their UIDs: the same again is a duplicate, whoever sends it.
    "storeInstances",
    "uploadIntoGroup",
    # A place for bytes, and what they are to be: what nobody goes on with ends by itself (tus 1.0, expiration).
    "createUpload",
    "beginSubmission",
    # A code is told once: whoever lost the answer makes another, and takes this one back.
    "createUploadCode",
}
"""Calls that make something and take no idempotency key, each with the reason."""


def test_every_call_that_makes_something_takes_an_idempotency_key_or_stands_in_the_list_of_those_that_need_none(
    door: Door,
) -> None:
    """PC-15: denied by default; a new creating route without a key fails here until somebody has said why."""
    found: dict[str, bool] = {}
    for route in door.app.routes:
        for handler in getattr(route, "route_handlers", []):
            if "POST" in handler.http_methods and handler.status_code == 201:
                found[str(handler.operation_id)] = "idempotency_key" in handler.parsed_fn_signature.parameters
    assert {"openOrder", "createGroup", "makeGroupReport", "pullPriors", "openPulls", "createUser", "createToken"} <= set(found)
    assert {name for name, keyed in found.items() if not keyed} == NOT_BY_KEY & set(found)


async def test_a_group_and_its_report_are_made_once_for_a_key(door: Door, filed: Filed) -> None:
    """GRP-01: the same key of the same caller gives the same; another name with it is refused."""
    key = {"Idempotency-Key": "once"}
    asked = {"group": "PARK-01", "products": ["dti"]}
    first = await door.call("user", "POST", "/api/groups", json=asked, headers=key)
    again = await door.call("user", "POST", "/api/groups", json=asked, headers=key)
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    other = await door.call("user", "POST", "/api/groups", json={"group": "PARK-02"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "group-of-key")
    theirs = await door.call("admin", "POST", "/api/groups", json=asked, headers=key)
    assert theirs.json()["code"] == "group-there", "the key of another caller is another key"
    await door.call("user", "PUT", f"/api/studies/{filed.study}/group", json={"group": "PARK-01"})
    made = await door.call("user", "POST", "/api/groups/PARK-01/reports", json={}, headers=key)
    assert made.status_code == 201, made.text
    repeated = await door.call("user", "POST", "/api/groups/PARK-01/reports", json={}, headers=key)
    assert repeated.json() == made.json()
    assert (await door.get("/api/groups/PARK-01"))["reports"] == 1


async def _pulls(door: Door) -> None:
    for number in range(5):
        wanted = [Wanted(study_uid=f"1.2.{number}")]
        await pulls.add(door.house.keys, "PACS" if number % 2 else "OTHER", wanted, reason="asked", owner="a", now=NOW + number)


async def _drops(door: Door) -> None:
    for number in range(5):
        await drops.begin(door.house.keys, "PACS" if number % 2 else "OTHER", b"name", NOW + number)


async def _notices(door: Door) -> None:
    for number in range(5):
        row = notices.NoticeRow(
            id=notices.identifier(number, "webhook", NOW + number), seq=number, subject="low-disk", severity="error",
            route="webhook" if number % 2 else "email", state="failed", reason="", digest=False, attempt=1, worker="",
            lease_until=0, not_before=0, at=NOW + number, sent_at=None, topic="low-disk", body="{}",
        )  # fmt: skip
        await notices.add(door.house.records, row)


async def _pages(door: Door, address: str) -> list[list[dict[str, Any]]]:
    """Every page from this address on, by `next` or by the `Link` header."""
    found: list[list[dict[str, Any]]] = []
    following: str | None = address
    while following:
        answer = await door.call("admin", "GET", following)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        if isinstance(body, list):
            found.append(body)
            following = answer.links.get("next", {}).get("url")
        else:
            found.append(body["items"])
            following = f"{address}&cursor={body['next']}" if body["next"] else None
    return found


@pytest.mark.parametrize(
    ("fill", "path", "name", "word"),
    [
        (_pulls, "/api/pulls", "pull", "node:PACS"),
        (_drops, "/api/drops", "drop", "folder:PACS"),
        (_notices, "/api/notices", "notice", "way:webhook"),
    ],
)
async def test_pulls_drops_and_notices_are_paged_and_filtered(
    door: Door, fill: Callable[[Door], Any], path: str, name: str, word: str
) -> None:
    """One filter language for lists; a page goes on where the one before ended, newest first."""
    await fill(door)
    whole = [one[name] for one in (await _pages(door, f"{path}?limit=1000"))[0]]
    assert len(whole) == 5
    assert whole == sorted(whole, reverse=True)
    pages = await _pages(door, f"{path}?limit=2")
    assert [len(page) for page in pages] == [2, 2, 1]
    assert [one[name] for page in pages for one in page] == whole
    fitting = await _pages(door, f"{path}?limit=1&q={word}")
    assert [one[name] for page in fitting for one in page] == [whole[1], whole[3]]
    problem = await door.call("admin", "GET", f"{path}?q=state:failed planet:mars")
    assert (problem.status_code, problem.json()["position"]) == (400, 13)
    assert (await door.call("admin", "GET", f"{path}?cursor=nonsense")).status_code == 400
    words = await door.get(f"/api/filter-words?of={path.rpartition('/')[2]}", role="admin")
    assert word.partition(":")[0] in {one["word"] for one in words}


async def test_groups_accounts_tokens_senders_and_associations_are_paged(door: Door) -> None:
    """What is listed by name goes on by name, and what has a number by its number."""
    for name in ("A-1", "B-2", "C-3"):
        await door.call("user", "POST", "/api/groups", json={"group": name, "products": ["dti"]})
    for name in ("his", "ris"):
        await door.call("admin", "POST", "/api/tokens", json={"name": name})
    for number in range(3):
        await events.append(AssociationRefused(caller="MR", address="10.0.0.9", reason=f"{number}", advice=""), NOW)
    assert [[one["group"] for one in page] for page in await _pages(door, "/api/groups?limit=2")] == [["A-1", "B-2"], ["C-3"]]
    refused = await _pages(door, "/api/associations?limit=2")
    assert [[one["sentence"] for one in page] for page in refused] == [["2", "1"], ["0"]]
    for path, name in (("/api/users", "name"), ("/api/tokens", "id")):
        (whole,) = await _pages(door, path)
        by_one = await _pages(door, f"{path}?limit=1")
        assert [one[name] for page in by_one for one in page] == [one[name] for one in whole]
        assert len(by_one) == len(whole) > 1
    assert await _pages(door, "/api/senders?limit=1") == [[]]
