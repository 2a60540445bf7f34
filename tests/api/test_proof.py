"""What would leave, the passport, the proof once more and the linking table, over HTTP on a really de-identified study."""

import asyncio
import sqlite3
from dataclasses import dataclass

import msgspec
import pypdfium2
import pytest

from appliance import steps
from appliance.deidentify.passport import Passport
from appliance.deidentify.signature import is_genuine, public_key
from appliance.house import House
from appliance.moments import now_ms
from appliance.records import audit, identities, orders, studies
from tests.api.conftest import Door, Filed, an_order

PREVIEW = "/api/studies/{}/deidentification-preview"


@dataclass(frozen=True)
class Proven:
    """A study that is de-identified, and its order."""

    study: str
    order: str


async def deidentified(house: House, study: str) -> str:
    """An order whose step `deidentify` has run; gives its identifier."""
    order = await an_order(house, study, state="QUEUED")
    series = [one.id for one in await studies.series(study)]
    inputs = msgspec.json.encode(dict.fromkeys((await orders.get(order)).product_list, series)).decode()
    await house.records.run("UPDATE orders SET inputs = {} WHERE id = {}", inputs, order)
    row = await orders.get(order)

    async def say(_stage: str, _fraction: float, _step: str) -> None:
        """Nobody watches."""

    work = steps.Work(house, (await house.settings()).settings, row, now_ms(), asyncio.Event(), say)
    move = await steps.deidentify(work)
    await house.records.run("UPDATE orders SET passport = {} WHERE id = {}", move.changes["passport"], order)
    assert move.writes is not None
    await move.writes()
    return order


@pytest.fixture
async def proven(door: Door, filed: Filed) -> Proven:
    return Proven(filed.study, await deidentified(door.house, filed.study))


async def _audited(action: str) -> list[tuple[str, str, str]]:
    return [(row.actor, row.target, row.result) async for row in audit.in_order() if row.action == action]


async def test_a_preview_shows_before_and_after_under_any_profile_and_is_audited(door: Door, filed: Filed) -> None:
    """DEID-09: what-if, attribute by attribute, without anything leaving; UI-10: it is a reveal and stands in the audit."""
    patient = filed.phantom.patient
    asked = await door.call("user", "POST", PREVIEW.format(filed.study), json={})
    assert asked.status_code == 200, asked.text
    lines = {line["place"]: line for line in asked.json()["lines"]}
    assert lines["(0010,0010)"]["before"].startswith(patient.name.split("^")[0]) and lines["(0010,0010)"]["after"] == ""
    assert (lines["(0010,0010)"]["name"], lines["(0012,0062)"]["action"]) == ("PatientName", "add")
    assert lines["(0012,0062)"]["before"] is None
    what_if = {"what_if": {"profile": "safe-harbor"}}
    other = (await door.call("admin", "POST", PREVIEW.format(filed.study), json=what_if)).json()
    assert (asked.json()["profile"], other["profile"]) == ("safe-harbor-shifted", "safe-harbor")
    removed = {line["place"]: line["after"] for line in other["lines"]}
    assert lines["(0008,0020)"]["after"] not in ("", patient.study_date) and removed["(0008,0020)"] == ""
    assert [one[0] for one in await _audited("identity.preview")] == ["the-user", "the-admin"]
    assert not list(door.house.storage.study(filed.study, 1).rglob("deidentified*/*"))


async def test_a_what_if_that_is_no_setting_is_refused_with_its_field(door: Door, filed: Filed) -> None:
    for wrong in ({"profile": "none"}, {"date_shift_range_days": 0}, {"nothing": 1}):
        answer = await door.call("admin", "POST", PREVIEW.format(filed.study), json={"what_if": wrong})
        assert answer.status_code == 422, answer.text
    assert (await door.call("service", "POST", PREVIEW.format(filed.study), json={})).status_code == 403


async def test_the_passport_is_signed_fits_one_page_and_is_proven_again(door: Door, proven: Proven) -> None:
    """DEID-09: JSON, one PDF page, and the proof once more; a byte that changed on disk is seen."""
    path = f"/api/orders/{proven.order}/passport"
    passport = msgspec.convert(await door.get(path, role="service"), Passport)
    assert passport.clean and is_genuine(passport, public_key(door.house.keys.derive("passport")))
    first, second = [await door.call("user", "GET", path + "/pdf") for _ in range(2)]
    assert first.headers["content-type"] == "application/pdf" and first.content == second.content
    document = pypdfium2.PdfDocument(first.content)
    text = document[0].get_textpage().get_text_range()
    assert len(document) == 1 and proven.order in text and passport.profile in text and "Clean" in text
    again = (await door.call("user", "POST", path + "/verify")).json()
    assert (again["good"], again["genuine"], again["unchanged"], again["residues"]) == (True, True, True, [])
    folder = door.house.storage.deidentified(proven.study, 1, proven.order)
    leaking = next(folder.rglob("*.dcm"))
    content = leaking.read_bytes()
    leaking.write_bytes(content.replace(b"2.25.", b"1.25."))
    changed = (await door.call("user", "POST", path + "/verify")).json()
    assert (changed["good"], changed["genuine"], changed["unchanged"]) == (False, True, False)
    assert changed["residues"]
    assert [one[2] for one in await _audited("order.verify")] == ["done", "not-as-verified"]


async def test_an_order_without_a_passport_says_so(door: Door, filed: Filed) -> None:
    order = await an_order(door.house, filed.study)
    answer = await door.call("user", "GET", f"/api/orders/{order}/passport")
    assert (answer.status_code, answer.json()["code"]) == (409, "no-passport-yet")


async def test_the_linking_table_is_sealed_at_rest_and_an_administrators_to_export(
    door: Door, proven: Proven, filed: Filed
) -> None:
    """DEID-10: encrypted, exportable by an administrator only, audited."""
    path = f"/api/studies/{proven.study}/linking"
    assert [(await door.call(role, "POST", path)).status_code for role in ("user", "service", "uploader")] == [403] * 3
    links = {one["original"]: one["new"] for one in (await door.call("admin", "POST", path)).json()["links"]}
    assert set(filed.phantom.uids) <= set(links) and all(new.startswith("2.25.") for new in links.values())
    assert await _audited("linking.export") == [("the-admin", proven.study, "done")]
    database = sqlite3.connect(door.house.home / "ranvier.db")
    (sealed,) = database.execute("SELECT linking FROM identities").fetchone()
    database.close()
    assert sealed and not any(one.encode() in sealed for pair in links.items() for one in pair)


async def test_a_later_order_adds_to_the_linking_table(door: Door, proven: Proven) -> None:
    """DEID-10: what an earlier order linked stays."""
    keys = door.house.keys
    before = await identities.linking(keys, proven.study)
    await identities.put_linking(keys, proven.study, {"1.2.3": "2.25.9"})
    assert await identities.linking(keys, proven.study) == {**before, "1.2.3": "2.25.9"}
