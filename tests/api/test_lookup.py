"""Studies by an exact accession number or patient ID: found by digest, audited, redacted."""

from typing import Any

from appliance.records import audit
from tests.api.conftest import Door, Filed


async def test_an_exact_value_finds_the_study_and_shows_nothing_of_the_patient(door: Door, filed: Filed) -> None:
    """UI-01: hashed lookup, audited, the row stays redacted."""
    patient = filed.phantom.patient
    for kind, value in (
        ("accession", patient.accession),
        ("patient", patient.patient_id),
        ("patient", f" {patient.patient_id.lower()} "),
    ):
        answer = await door.call("user", "POST", "/api/lookup", json={"kind": kind, "value": value})
        assert answer.status_code == 200
        assert [one["study"] for one in answer.json()["items"]] == [filed.study]
        assert not answer.json()["more"]
        assert not [token for token in filed.phantom.identity_tokens if token.lower() in answer.text.lower()]
    rows = [row async for row in audit.in_order() if row.action == "identity.lookup"]
    assert [(row.actor, row.result, row.detail) for row in rows] == [("the-user", "done", "1 studies")] * 3
    assert rows[1].target == rows[2].target
    assert rows[0].target.startswith("accession/")
    assert not [row for row in rows if any(token in str(row) for token in filed.phantom.identity_tokens)]


async def test_parts_of_a_value_and_other_values_find_nothing_and_are_audited_too(door: Door, filed: Filed) -> None:
    patient = filed.phantom.patient
    for kind, value in (
        ("patient", patient.patient_id[:-1]),
        ("accession", patient.patient_id),
        ("patient", "%"),
        ("patient", " "),
    ):
        answer = await door.call("admin", "POST", "/api/lookup", json={"kind": kind, "value": value})
        assert answer.json() == {"items": [], "more": False}
    rows = [row async for row in audit.in_order() if row.action == "identity.lookup"]
    assert [row.detail for row in rows] == ["0 studies"] * 4


async def test_machines_and_strange_questions_are_refused(door: Door, filed: Filed) -> None:
    asked: Any = {"kind": "patient", "value": "x"}
    assert (await door.call("service", "POST", "/api/lookup", json=asked)).status_code == 403
    for wrong in ({"kind": "name", "value": "x"}, {"kind": "patient", "value": ""}, {"kind": "patient", "value": "x" * 65}):
        assert (await door.call("user", "POST", "/api/lookup", json=wrong)).status_code == 400
