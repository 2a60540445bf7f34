"""Studies over HTTP, and the patient who is not there before a reveal."""

import json
from typing import Any

from appliance import audit as chain
from appliance.events import MetadataGiven, Progress, QcFailed
from appliance.moments import now_ms
from appliance.records import audit, events
from tests.api.conftest import Door, Filed, a_report, an_order, file_phantom
from tests.phantoms import Patient, a_small_diffusion_study

LISTS = (
    "/api/studies",
    "/api/orders",
    "/api/results",
    "/api/reports",
    "/api/status",
    "/api/audit",
    "/api/health",
    "/api/settings",
)


async def test_a_received_study_is_in_the_list_with_its_words(door: Door, filed: Filed) -> None:
    page = await door.get("/api/studies", role="user")
    assert (page["total"], page["matched"], page["next"]) == (1, 1, None)
    (row,) = page["items"]
    assert row["study"] == filed.study
    assert (row["state"], row["word"], row["order"]) == ("STABLE", "Stable", None)
    assert row["instances"] == len(filed.phantom.files)
    assert row["has_accession"]
    assert row["received_at"].endswith("Z")
    assert row["sender"] == "MODALITY"


async def test_the_newest_order_gives_state_word_and_glyph(door: Door, filed: Filed) -> None:
    order = await an_order(door.house, filed.study, state="QC_FAILED")
    (row,) = (await door.get("/api/studies"))["items"]
    assert (row["order"], row["state"], row["word"], row["glyph"], row["plain_glyph"]) == (
        order,
        "QC_FAILED",
        "QC failed",
        "✖",
        "X",
    )
    assert row["needs_person"]
    assert row["products"] == ["dti"]


async def test_a_failed_delivery_is_what_people_see(door: Door, filed: Filed) -> None:
    order = await an_order(door.house, filed.study, state="REPORTED")
    await door.house.records.run("UPDATE orders SET delivery_failed = {} WHERE id = {}", True, order)
    (row,) = (await door.get("/api/studies", params={"q": "status:delivery_failed"}))["items"]
    assert (row["state"], row["word"], row["delivery_failed"], row["needs_person"]) == (
        "REPORTED",
        "Delivery failed",
        True,
        True,
    )


async def test_a_wrong_filter_says_where_and_the_right_one_finds(door: Door, filed: Filed) -> None:
    answer = await door.call("user", "GET", "/api/studies", params={"q": "status:stable colour:red"})
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["code"], problem["position"]) == ("filter", 14)
    assert "red" not in answer.text
    page = await door.get("/api/studies", params={"q": "status:stable received<1h", "limit": 1, "sort": "-updated"})
    assert page["matched"] == 1
    assert (await door.get("/api/studies", params={"q": "!status:stable"}))["items"] == []
    words = await door.get("/api/filter-words", role="user")
    assert "status" in {word["word"] for word in words}


async def test_one_study_shows_series_orders_timeline_and_metadata(door: Door, filed: Filed) -> None:
    order = await an_order(door.house, filed.study)
    await door.house.records.run(
        "UPDATE orders SET metadata = {}, inputs = {} WHERE id = {}",
        json.dumps({"age": {"value": "063Y", "origin": "dicom"}}),
        json.dumps({"dti": [(await door.get(f"/api/studies/{filed.study}"))["series_list"][0]["series"]]}),
        order,
    )
    await events.append(QcFailed(study=filed.study, order=order, failed="Lossless"), now_ms())
    for path in (f"/api/studies/{filed.study}", f"/api/study-info/{filed.study[-8:]}", f"/api/studies/{filed.study.upper()}"):
        view = await door.get(path, role="user")
        assert view["study"] == filed.study
        assert [one["order"] for one in view["orders"]] == [order]
        assert view["series_list"][0]["product_input"]
        assert view["metadata"]["age"] == {"value": "063Y", "origin": "dicom", "contradicts": False}
        assert view["timeline"][-1]["text"] == "QC failed: Lossless."
        assert [one["seq"] for one in view["timeline"]] == sorted(one["seq"] for one in view["timeline"])


async def test_no_list_names_the_patient_before_a_reveal(door: Door, filed: Filed) -> None:
    """UI-01: no PHI reaches the console before a reveal."""
    order = await an_order(door.house, filed.study)
    await a_report(door.house, filed.study, order)
    await events.append(MetadataGiven(study=filed.study, order=order, fields="age", actor="the-admin"), now_ms())
    answers = {path: (await door.call("admin", "GET", path)).text for path in LISTS}
    for path in (f"/api/studies/{filed.study}", f"/api/study-info/{filed.study}", f"/api/orders/{order}"):
        answers[path] = (await door.call("admin", "GET", path)).text
    assert filed.phantom.identity_tokens
    for path, text in answers.items():
        found = [token for token in (*filed.phantom.identity_tokens, filed.phantom.study_uid) if token.lower() in text.lower()]
        assert not found, f"{path} names {found}"


async def test_no_filter_finds_a_patient(door: Door, filed: Filed) -> None:
    for token in filed.phantom.identity_tokens:
        page = await door.get("/api/studies", params={"q": f'"{token}"'})
        assert page["items"] == [], token


async def test_a_reveal_shows_the_patient_and_is_in_the_audit(door: Door, filed: Filed, tmp_path: Any) -> None:
    """UI-01, UI-10: each reveal is audited, one row a study."""
    other = await file_phantom(door.house, a_small_diffusion_study(tmp_path / "b", patient=Patient(patient_id="B2"), seed=2))
    answer = await door.call("user", "POST", "/api/reveal", json={"studies": [filed.study, other, filed.study]})
    assert answer.status_code == 200
    shown = {one["study"]: one for one in answer.json()["items"]}
    assert set(shown) == {filed.study, other}
    patient = filed.phantom.patient
    assert shown[filed.study]["patient_id"] == patient.patient_id
    assert shown[filed.study]["patient_name"] == patient.name
    assert shown[filed.study]["birth_date"] == patient.birth_date
    assert shown[filed.study]["accession"] == patient.accession
    assert shown[other]["patient_id"] == "B2"
    assert answer.json()["until"].endswith("Z")
    rows = [row async for row in audit.in_order() if row.action == "identity.reveal"]
    assert [(row.actor, row.target, row.result) for row in rows] == [
        ("the-user", filed.study, "done"),
        ("the-user", other, "done"),
    ]
    assert not [row for row in rows if any(token in str(row) for token in filed.phantom.identity_tokens)]
    assert (await chain.verify()).ok


async def test_a_reveal_that_cannot_be_audited_shows_nothing(door: Door, filed: Filed, monkeypatch: Any) -> None:
    async def broken(*_: object) -> None:
        raise OSError

    monkeypatch.setattr("appliance.records.audit.add", broken)
    answer = await door.call("user", "POST", "/api/reveal", json={"studies": [filed.study]})
    assert answer.status_code == 500
    assert filed.phantom.patient.patient_id not in answer.text


async def test_a_reveal_covers_a_page_at_most(door: Door, filed: Filed) -> None:
    for studies in ([], [filed.study] * 201):
        assert (await door.call("user", "POST", "/api/reveal", json={"studies": studies})).status_code == 400
    assert (await door.call("user", "POST", "/api/reveal", json={"studies": ["ffffffff"]})).status_code == 404


async def test_an_administrator_ends_the_wait_for_a_study(door: Door, tmp_path: Any) -> None:
    """UI-02, PC-14."""
    studies = [
        await file_phantom(door.house, a_small_diffusion_study(tmp_path / str(n), patient=Patient(patient_id=f"P{n}"), seed=n))
        for n in range(3)
    ]
    asked = (
        ("POST", f"/api/studies/{studies[0]}/force-stable", None),
        ("POST", "/api/force-stable", {"study": studies[1]}),
        ("PUT", "/api/force-stable", {"study": studies[2][-12:]}),
    )
    for method, path, body in asked:
        answer = await door.call("admin", method, path, json=body)
        assert (answer.status_code, answer.json()["state"]) == (202, "STABLE")
        assert (await door.call("admin", method, path, json=body)).status_code == 409
    rows = [(row.action, row.result) async for row in audit.in_order()]
    assert rows.count(("study.force-stable", "done")) == 3
    assert rows.count(("study.force-stable", "illegal-move")) == 3


async def test_progress_shows_in_the_row(door: Door, filed: Filed) -> None:
    order = await an_order(door.house, filed.study, state="PROCESSING")
    await door.house.records.run("UPDATE orders SET percent = 62, step = 'Tensor' WHERE id = {}", order)
    await events.append(Progress(study=filed.study, order=order, stage="dti", step="Tensor", percent=62), now_ms())
    (row,) = (await door.get("/api/studies"))["items"]
    assert (row["percent"], row["step"]) == (62, "Tensor")


async def test_status_says_where_to_send_and_how_much_there_is(door: Door, filed: Filed) -> None:
    await an_order(door.house, filed.study)
    status = await door.get("/api/status", role="user")
    assert status["counts"] == {"studies": 1, "orders": {"QC": 1}}
    assert status["queue"] == {"waiting": 1, "urgent": 0, "running": 0, "expected_s": None}
    assert status["receive"]["ae_title"] == "RANVIER_SCP"
    assert status["receive"]["open_to_everybody"]
    assert status["receive"]["addresses"]
    assert status["time_zone"] == "UTC"
    assert status["paused"] is False
