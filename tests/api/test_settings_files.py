"""Settings as one file over HTTP."""

import tomllib
from typing import Any

import httpx
import pytest

from appliance.delivery.section import Rest
from appliance.records import audit
from appliance.settings import Settings
from appliance.settings_file import differences, export, read
from tests.api.conftest import Door

PASSPHRASE = "a passphrase of some length"
REST = {
    "protocol": "rest",
    "name": "his",
    "url": "http://his.example/reports",
    "body": '{"a": "quote \\" and ümlaut", "b": "$order"}',
    "authentication": "token",
    "secret": "s3cr3t-t0ken",
}


async def _patch(door: Door, change: dict[str, Any], version: int) -> httpx.Response:
    return await door.call("admin", "PATCH", "/api/settings", json=change, headers={"If-Match": f'"{version}"'})


async def _post(door: Door, what: str, body: dict[str, Any], version: int | None = None, **asked: Any) -> httpx.Response:
    headers = {} if version is None else {"If-Match": f'"{version}"'}
    return await door.call("admin", "POST", f"/api/settings/{what}", json=body, headers=headers, params=asked)


async def _secret(door: Door) -> str:
    (found,) = (await door.house.settings()).settings.delivery.destinations
    assert isinstance(found, Rest)
    return found.secret.reveal()


async def test_the_export_is_all_settings_without_secrets_and_comes_back_unchanged(door: Door) -> None:
    """UI-04: export/import of the whole configuration without secrets."""
    await _patch(door, {"site": {"name": "gw01"}, "delivery": {"destinations": [REST]}}, 0)
    answer = await door.call("admin", "GET", "/api/settings/export")
    assert answer.headers["content-type"].startswith("application/toml")
    assert "ranvier-settings-1.toml" in answer.headers["content-disposition"]
    assert REST["secret"] not in answer.text
    found = tomllib.loads(answer.text)
    assert set(found) == {"ranvier", *Settings.__struct_fields__}
    assert found["delivery"]["destinations"][0]["body"] == REST["body"]
    same = (await _post(door, "import", {"text": answer.text}, 1)).json()
    assert (same["version"], same["differences"], same["missing_secrets"]) == (1, [], [])


async def test_a_dry_run_says_what_would_change_and_changes_nothing(door: Door) -> None:
    text = (await door.call("admin", "GET", "/api/settings/export")).text.replace("port = 3001", "port = 3002")
    would = (await _post(door, "import", {"text": text}, dry_run=True)).json()
    assert would["differences"] == [{"field": "access.port", "before": "3001", "after": "3002"}]
    assert (would["version"], would["dry_run"], would["restart"]) == (0, True, ["api"])
    assert (await door.get("/api/settings"))["version"] == 0
    assert (await _post(door, "import", {"text": text})).status_code == 428
    done = await _post(door, "import", {"text": text}, 0)
    assert (done.status_code, done.json()["version"]) == (200, 1)
    assert (await _post(door, "import", {"text": text.replace("3002", "3003")}, 0)).status_code == 412
    rows = [(row.action, row.result) async for row in audit.in_order() if row.action == "settings.import"]
    assert rows == [("settings.import", "done"), ("settings.import", "settings-stale")]


async def test_secrets_travel_only_under_a_passphrase(door: Door) -> None:
    """UI-04, PC-35."""
    await _patch(door, {"delivery": {"destinations": [REST]}}, 0)
    short = await _post(door, "export", {"passphrase": "short"})
    assert (short.status_code, short.json()["code"]) == (422, "passphrase-short")
    text = (await _post(door, "export", {"passphrase": PASSPHRASE})).text
    assert REST["secret"] not in text
    await _patch(door, {"delivery": {"destinations": []}}, 1)
    for wrong in ("", "another passphrase of length"):
        answer = await _post(door, "import", {"text": text, "passphrase": wrong}, 2)
        assert (answer.status_code, answer.json()["code"]) == (422, "passphrase-wrong")
    done = await _post(door, "import", {"text": text, "passphrase": PASSPHRASE}, 2)
    assert done.status_code == 200
    assert REST["secret"] not in done.text
    assert await _secret(door) == REST["secret"]


async def test_on_another_appliance_the_secrets_that_must_be_entered_are_named(door: Door) -> None:
    await _patch(door, {"delivery": {"destinations": [REST]}}, 0)
    text = (await door.call("admin", "GET", "/api/settings/export")).text
    await _patch(door, {"delivery": {"destinations": []}}, 1)
    would = (await _post(door, "import", {"text": text}, dry_run=True)).json()
    assert would["missing_secrets"] == ["delivery.destinations[his].secret"]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "settings-file"),
        ("a = [", "settings-file"),
        ("x = " + "[" * 5000, "settings-file"),
        ("[ranvier]\nformat = 99\n", "settings-file"),
        ('[ranvier]\nformat = 1\n[access]\nport = "many"\n', "settings-refused"),
        ("[ranvier]\nformat = 1\n[nonsense]\nx = 1\n", "settings-refused"),
        ("[ranvier]\nformat = 1\n[access]\nport = 2026-11-22\n", "settings-refused"),
        ('[ranvier]\nformat = 1\n[site]\nname = "@passphrase:AAAA"\n', "settings-file"),
    ],
)
async def test_a_bad_file_changes_nothing(door: Door, text: str, code: str) -> None:
    answer = await _post(door, "import", {"text": text}, 0)
    assert (answer.status_code, answer.json()["code"]) == (422, code)
    assert (await door.get("/api/settings"))["version"] == 0


async def test_versions_are_compared_and_an_earlier_one_comes_back_with_its_secrets(door: Door) -> None:
    """History with diff and restore."""
    await _patch(door, {"site": {"name": "one"}, "delivery": {"destinations": [REST]}}, 0)
    await _patch(door, {"site": {"name": "two"}, "delivery": {"destinations": [{**REST, "secret": "other"}]}}, 1)
    found = await door.get("/api/settings/differences", params={"before": 1, "after": 2})
    assert found == [
        {"field": "site.name", "before": "one", "after": "two"},
        {"field": "delivery.destinations[his].secret", "before": "set", "after": "changed"},
    ]
    assert (await _post(door, "restore", {"version": 99}, 2)).status_code == 404
    assert (await _post(door, "restore", {"version": 1}, 1)).status_code == 412
    done = (await _post(door, "restore", {"version": 1}, 2)).json()
    assert (done["version"], len(done["differences"])) == (3, 2)
    assert (await door.house.settings()).settings.site.name == "one"
    assert await _secret(door) == REST["secret"]


def test_every_character_survives_the_file() -> None:
    name = "".join(map(chr, [*range(1, 0x180), 0x2028, 0x1F600]))
    settings = Settings()
    text = export(settings, 1, name)
    assert tomllib.loads(text)["ranvier"]["site"] == name
    assert read(text)["receive"]["port"] == settings.receive.port
    assert differences(settings, settings) == []
