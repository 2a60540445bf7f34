"""Settings over HTTP."""

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from appliance.delivery.section import Rest
from appliance.records import audit, events
from tests.api.conftest import Door

REST = {
    "protocol": "rest",
    "name": "his",
    "url": "http://his.example/reports",
    "authentication": "token",
    "secret": "s3cr3t-t0ken",
}
UNCHANGED = "@secret:unchanged"


async def _patch(door: Door, change: dict[str, Any], version: int, role: str = "admin") -> httpx.Response:
    return await door.call(role, "PATCH", "/api/settings", json=change, headers={"If-Match": f'"{version}"'})


async def _destination(door: Door) -> Rest:
    (found,) = (await door.house.settings()).settings.delivery.destinations
    assert isinstance(found, Rest)
    return found


async def test_a_change_is_stored_with_its_version_audit_and_event(door: Door) -> None:
    """UI-04, UI-10."""
    answer = await _patch(door, {"receive": {"port": 11112, "quiet_seconds": 60}, "site": {"name": "gw01"}}, 0)
    assert answer.status_code == 200
    assert answer.json() == {"version": 1, "changed": ["receive.port", "site.name"], "restart": ["receive"]}
    assert answer.headers["etag"] == '"1"'
    view = await door.get("/api/settings")
    assert (view["version"], view["saved_by"]) == (1, "the-admin")
    assert (view["settings"]["receive"]["port"], view["settings"]["site"]["name"]) == (11112, "gw01")
    rows = [(row.target, row.result, row.detail) async for row in audit.in_order() if row.action == "settings.change"]
    assert rows == [("settings/1", "done", "receive.port, site.name")]
    assert (await events.after(0))[-1].name == "settings-changed"


async def test_every_wrong_field_is_named_and_nothing_is_saved(door: Door) -> None:
    """PATCH with field errors."""
    change = {
        "receive": {"port": 70000, "ae_title": "FAR-TOO-LONG-FOR-AN-AE-TITLE", "quiet_seconds": 30},
        "nonsense": {"x": 1},
        "site": {"colour": "red"},
    }
    answer = await _patch(door, change, 0)
    assert answer.status_code == 422
    assert answer.json()["code"] == "settings-refused"
    assert {one["field"] for one in answer.json()["fields"]} == {"receive.port", "receive.ae_title", "nonsense", "site.colour"}
    assert (await door.get("/api/settings"))["version"] == 0


async def test_a_section_that_is_no_object_is_refused_as_a_whole(door: Door) -> None:
    answer = await _patch(door, {"compute": "fast"}, 0)
    assert (answer.status_code, answer.json()["code"]) == (400, "bad-request")
    assert answer.json()["fields"]


async def test_rules_between_sections_are_errors_of_fields_too(door: Door) -> None:
    answer = await _patch(door, {"receive": {"port": 3001}}, 0)
    assert (answer.status_code, [one["field"] for one in answer.json()["fields"]]) == (422, ["access.port"])


async def test_two_administrators_do_not_overwrite_each_other(door: Door) -> None:
    """Issue 8."""
    assert (await _patch(door, {"site": {"name": "first"}}, 0)).status_code == 200
    late = await _patch(door, {"site": {"name": "second"}}, 0)
    assert (late.status_code, late.json()["code"]) == (412, "settings-stale")
    assert (await door.get("/api/settings"))["settings"]["site"]["name"] == "first"


@pytest.mark.parametrize("header", [{}, {"If-Match": "*"}, {"If-Match": "x"}, {"If-Match": '"-1"'}])
async def test_a_change_must_say_what_it_is_based_on(door: Door, header: dict[str, str]) -> None:
    answer = await door.call("admin", "PATCH", "/api/settings", json={"site": {"name": "x"}}, headers=header)
    assert (answer.status_code, answer.json()["code"]) == (428, "version-missing")


async def test_secrets_are_never_shown_and_stay_when_marked_unchanged(door: Door) -> None:
    """PC-35: the field says 'set' and can be replaced."""
    assert (await _patch(door, {"delivery": {"destinations": [REST]}}, 0)).status_code == 200
    for path in ("/api/settings", "/api/settings/history", "/api/settings/schema", "/api/audit"):
        assert REST["secret"] not in (await door.call("admin", "GET", path)).text
    (shown,) = (await door.get("/api/settings"))["settings"]["delivery"]["destinations"]
    assert shown["secret"] == UNCHANGED
    renamed = {**shown, "url": "http://other.example/reports"}
    assert (await _patch(door, {"delivery": {"destinations": [renamed]}}, 1)).json()["changed"] == ["delivery.destinations"]
    kept = await _destination(door)
    assert (kept.secret.reveal(), kept.url) == (REST["secret"], "http://other.example/reports")
    assert (await _patch(door, {"delivery": {"destinations": [{**shown, "secret": "new"}]}}, 2)).status_code == 200
    assert (await _destination(door)).secret.reveal() == "new"
    stored = str(await door.house.records.run("SELECT document FROM settings"))
    assert REST["secret"] not in stored


async def test_history_names_who_changed_what(door: Door) -> None:
    await _patch(door, {"site": {"name": "one"}, "delivery": {"destinations": [REST]}}, 0)
    await _patch(door, {"site": {"name": "two"}}, 1)
    history = await door.get("/api/settings/history")
    assert [(one["version"], one["saved_by"], one["changed"]) for one in history] == [
        (2, "the-admin", ["site.name"]),
        (1, "the-admin", ["site.name", "delivery.destinations"]),
    ]


async def test_the_schema_titles_every_field(door: Door) -> None:
    schema = await door.get("/api/settings/schema")
    port = schema["$defs"]["ReceiveSection"]["properties"]["port"]
    assert (port["title"], port["maximum"], port["x-restart"]) == ("Port", 65535, "receive")


class _His:
    """A hospital system that says what it was asked."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def _answer(self) -> None:
                outer.tokens.append(self.headers.get("Authorization", ""))
                self.send_response(204)
                self.end_headers()

            do_GET = do_HEAD = do_OPTIONS = do_POST = _answer

            def log_message(self, *_: object) -> None:
                """Stays silent."""

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/reports"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()


@pytest.fixture
def his() -> Iterator[_His]:
    found = _His()
    yield found
    found.server.shutdown()
    found.server.server_close()


async def test_a_destination_is_tested_before_it_is_saved_with_its_stored_secret(door: Door, his: _His) -> None:
    """PC-34, RES-02: test delivery, before saving."""
    await _patch(door, {"delivery": {"destinations": [{**REST, "url": his.url, "own_machine": True}]}}, 0)
    answer = await door.call(
        "admin", "POST", "/api/delivery/test", json={**REST, "url": his.url, "own_machine": True, "secret": UNCHANGED}
    )
    assert answer.status_code == 200
    assert answer.json()["ok"]
    assert answer.json()["lines"]
    assert his.tokens
    assert all(REST["secret"] in token for token in his.tokens if token)
    assert REST["secret"] not in answer.text


async def test_a_test_of_a_url_that_leads_to_this_machine_asks_nobody(door: Door, his: _His) -> None:
    """The test button is no way around the guard."""
    answer = (await door.call("admin", "POST", "/api/delivery/test", json={**REST, "url": his.url})).json()
    assert answer["ok"] is False
    assert any("this machine itself" in line for line in answer["lines"])
    assert his.tokens == []


async def test_a_destination_that_is_down_says_so(door: Door, free_port: int) -> None:
    body = {**REST, "url": f"http://127.0.0.1:{free_port}/x", "own_machine": True}
    answer = (await door.call("admin", "POST", "/api/delivery/test", json=body)).json()
    assert answer["ok"] is False
    assert answer["lines"]


async def test_a_destination_of_no_known_form_is_refused_by_field(door: Door) -> None:
    for body in ({}, {"protocol": "pigeon", "name": "x"}, {**REST, "url": "ftp://x"}, {**REST, "colour": "red"}):
        answer = await door.call("admin", "POST", "/api/delivery/test", json=body)
        assert answer.status_code == 422, body
        assert answer.json()["fields"]
