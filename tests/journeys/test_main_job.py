"""One study from a DICOM sender to the delivered report, through the real processes, with real sinks."""

import base64
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pydicom
import pytest

from appliance.states import OrderState
from tests.journeys.world import HospitalSystem, Visitor, World, a_world, places_of, ready
from tests.phantoms import Patient, a_mixed_study, a_small_diffusion_study
from tests.servers import StoreScp, program, until

HIS = {"protocol": "rest", "name": "HIS", "own_machine": True}
BODY = '{"id": "$order", "kind": "$kind", "name": "$filename", "pdf": "$content", "verdict": "$verdict"}'


@pytest.fixture
def hospital() -> Iterator[HospitalSystem]:
    server = HospitalSystem()
    yield server
    server.close()


def destinations(pacs: StoreScp, hospital: HospitalSystem) -> dict[str, object]:
    return {
        "destinations": [
            {"protocol": "dicom-pdf", "name": "PACS", "host": pacs.host, "port": pacs.port, "called_ae": pacs.ae_title},
            {**HIS, "url": hospital.url, "body": BODY, "formats": ["pdf"]},
        ],
        "first_wait_s": 0,
    }


def run_the_main_job(world: World, folder: Path) -> str:
    for word in ("receive", "work", "api"):
        world.start(word)
    ready(world)
    world.send(folder)
    order = world.the_order().id
    world.wait_for(order, OrderState.DELIVERED)
    return order


@pytest.mark.parametrize("engine", ["sqlite", "postgres"])
def test_a_study_that_a_scanner_sends_is_reported_delivered_and_shown(
    engine: str, tmp_path: Path, storescp: StoreScp, hospital: HospitalSystem, request: pytest.FixtureRequest
) -> None:
    """REC-01, REC-06, QC-01, QC-06, DEID-01, DEID-11, PRO-01, RES-01, RES-02, RES-05, UI-05: the main job on both engines."""
    database = str(request.getfixturevalue("postgres_url")) if engine == "postgres" else ""
    phantom = a_mixed_study(tmp_path / "study")
    change = {"delivery": destinations(storescp, hospital)}
    with a_world(tmp_path / "world", change, database) as world:
        order = run_the_main_job(world, tmp_path / "study")
        visitor = Visitor(world)
        check_the_numbers(visitor, order)
        check_the_pacs_object(storescp, phantom.patient, phantom.study_uid)
        check_the_rest_body(hospital, order)
        check_that_the_console_sees_it(visitor, phantom.identity_tokens)
        deliveries = world.rows("SELECT destination, state FROM deliveries ORDER BY destination")
        assert deliveries == [{"destination": "HIS", "state": "SENT"}, {"destination": "PACS", "state": "SENT"}]
    check_that_nothing_names_the_patient(world, [*phantom.identity_tokens, *phantom.uids[:3]])


def check_the_numbers(visitor: Visitor, order: str) -> None:
    view = visitor.get(f"/api/orders/{order}")
    (report,) = view["reports"]
    assert set(report["formats"]) >= {"json", "txt", "png", "pdf"}
    content = json.loads(visitor.bytes_of(f"/api/reports/{report['report']}/json"))
    rows = {row["name"]: row["value"] for section in content["sections"] for row in section["rows"]}
    fa = next(value for name, value in rows.items() if "fa" in name and "mean" in name)
    assert 0.05 < fa < 0.9
    pdf = visitor.bytes_of(f"/api/reports/{report['report']}/pdf")
    assert pdf.startswith(b"%PDF-")
    assert order in visitor.bytes_of(f"/api/reports/{report['report']}/txt").decode()


def check_the_pacs_object(pacs: StoreScp, patient: Patient, study_uid: str) -> None:
    (file,) = pacs.files()
    found = pydicom.dcmread(file)
    assert found.SOPClassUID == pydicom.uid.EncapsulatedPDFStorage
    assert str(found.PatientName) == patient.name
    assert (found.PatientID, found.AccessionNumber) == (patient.patient_id, patient.accession)
    assert found.StudyInstanceUID == study_uid
    assert bytes(found.EncapsulatedDocument).startswith(b"%PDF-")
    dumped = subprocess.run([program("dcmdump", "dcmtk"), str(file)], capture_output=True, check=True)
    assert b"EncapsulatedPDFStorage" in dumped.stdout


def check_the_rest_body(hospital: HospitalSystem, order: str) -> None:
    (body,) = hospital.bodies.values()
    found = json.loads(body)
    assert found["id"] == order
    assert found["name"] == f"{order}_report.pdf"
    assert base64.b64decode(found["pdf"]).startswith(b"%PDF-")


def check_that_the_console_sees_it(visitor: Visitor, tokens: list[str]) -> None:
    listed = visitor.get("/api/studies")
    (row,) = listed["items"]
    assert (row["state"], row["terminal"]) == ("DELIVERED", True)
    detail = visitor.get(f"/api/studies/{row['study']}")
    shown = json.dumps([listed, detail])
    assert not [token for token in tokens if token in shown]
    assert len(detail["series_list"]) == 2
    revealed = visitor.post("/api/reveal", {"studies": [row["study"]]})
    assert tokens[0] in json.dumps(revealed)


def check_that_nothing_names_the_patient(world: World, tokens: list[str]) -> None:
    """No log line, event, row, file name or de-identified file holds the identity; only the originals do."""
    found = {token: places_of(token, world.home, leave_out=("/original/",)) for token in tokens}
    assert {token: places for token, places in found.items() if places} == {}
    for word in ("receive", "work", "api"):
        assert not [token for token in tokens if token in world.output(word)]


def test_a_destination_that_is_down_is_tried_three_times_and_can_be_sent_to_again(
    tmp_path: Path, hospital: HospitalSystem
) -> None:
    """RES-02: three attempts, then failed; the order stays REPORTED and flagged; a manual re-send brings it to DELIVERED."""
    a_small_diffusion_study(tmp_path / "study")
    hospital.answers = [503, 503, 503]
    change = {
        "delivery": {
            "destinations": [{**HIS, "url": hospital.url, "body": BODY, "formats": ["pdf"]}],
            "first_wait_s": 0,
        }
    }
    with a_world(tmp_path / "world", change) as world:
        for word in ("receive", "work", "api"):
            world.start(word)
        ready(world)
        world.send(tmp_path / "study")
        order = world.the_order().id
        world.wait_for(order, OrderState.REPORTED)
        until(lambda: world.the_order().delivery_failed, "the flag of a failed delivery")
        (delivery,) = world.rows("SELECT * FROM deliveries")
        assert (delivery["state"], delivery["attempt"], hospital.requests) == ("FAILED", 3, 3)
        Visitor(world).post(f"/api/deliveries/{delivery['id']}/resend", {})
        world.wait_for(order, OrderState.DELIVERED)
        assert len(hospital.bodies) == 1
