"""Studies that stop in quality control, and what people then do: give age and sex, or let them past with a reason."""

import json
from pathlib import Path
from typing import Any

import pytest

from appliance.states import OrderState
from tests.journeys.world import PATIENCE_S, Visitor, World, a_world, places_of, ready
from tests.phantoms import Patient, a_lossy_study, a_small_diffusion_study, a_structural_study
from tests.servers import until

UNKNOWN = Patient(name="Nachtfalter^Kunigunde", patient_id="MRN-5550001", sex="", age="", birth_date="")
WITHOUT_DEMOGRAPHICS = ("canon_galan_classic_dwi", "uih_umr770_study", "ge_pioneer_classic_dwi_phantom")
SAME_PIXELS = {"ge_pioneer_classic_dwi_phantom": {"image-slices"}}
"""Its publishers put one and the same image into every volume."""
WITH_DEMOGRAPHICS = ("siemens_e11_mosaic_dwi", "siemens_xa30_enhanced_study", "philips_achieva_classic_dwi")


def started(world: World) -> Visitor:
    for word in ("receive", "work", "api"):
        world.start(word)
    ready(world)
    return Visitor(world)


def order_after_sending(world: World, folder: Path) -> str:
    known = {row.id for row in world.orders()}
    world.send_any(folder)
    until(lambda: len(world.orders()) > len(known), "an order for what was sent", PATIENCE_S)
    (new,) = [row.id for row in world.orders() if row.id not in known]
    return new


def failed_checks(visitor: Visitor, order: str) -> dict[str, dict[str, Any]]:
    findings = visitor.get(f"/api/orders/{order}/qc")["findings"]
    return {one["check"]: one for one in findings if one["verdict"] == "failed"}


def report_of(visitor: Visitor, order: str) -> dict[str, Any]:
    (report,) = [one for one in visitor.get(f"/api/orders/{order}")["reports"] if one["kind"] == "report"]
    found: dict[str, Any] = json.loads(visitor.bytes_of(f"/api/reports/{report['report']}/json"))
    assert found["caveats"], "the report says what a person decided"
    text = " ".join(visitor.bytes_of(f"/api/reports/{report['report']}/txt").decode().split())
    assert all(caveat.split(":")[0] in text for caveat in found["caveats"])
    return found


def check_findings(found: dict[str, dict[str, Any]], *checks: str) -> None:
    assert set(found) == set(checks)
    for one in found.values():
        assert one["found"]
        assert one["expected"]
        assert one["action"], "what to do next time"


def test_a_study_without_age_and_sex_waits_for_a_person_and_its_report_says_what_was_decided(tmp_path: Path) -> None:
    """QC-01, QC-05, RES-01: metadata through the API for one study, a bypass with reason for another."""
    given = a_small_diffusion_study(tmp_path / "given", patient=UNKNOWN, seed=1)
    a_small_diffusion_study(tmp_path / "bypassed", patient=UNKNOWN, seed=2)
    with a_world(tmp_path / "world") as world:
        visitor = started(world)
        first = order_after_sending(world, tmp_path / "given")
        world.wait_for(first, OrderState.QC_FAILED)
        check_findings(failed_checks(visitor, first), "age", "sex")
        visitor.post(f"/api/orders/{first}/metadata", {"age": "63", "sex": "F"})
        world.wait_for(first, OrderState.DELIVERED)
        content = report_of(visitor, first)
        assert (content["sex"], content["sex_origin"], content["age_origin"]) == ("F", "form", "form")

        second = order_after_sending(world, tmp_path / "bypassed")
        world.wait_for(second, OrderState.QC_FAILED)
        visitor.post(f"/api/orders/{second}/bypass", {"reason": "known healthy volunteer"})
        world.wait_for(second, OrderState.DELIVERED)
        content = report_of(visitor, second)
        assert content["qc_verdict"] == "bypassed"
        assert "known healthy volunteer" in content["caveats"][0]
        audited = [row["action"] for row in world.rows("SELECT action FROM audit")]
        assert any("bypass" in action for action in audited)
    assert not places_of(given.patient.patient_id, world.home, leave_out=("/original/",))


def test_studies_that_cannot_be_processed_end_in_a_named_state(tmp_path: Path) -> None:
    """QC-01: no diffusion series, and lossy images; each stops in QC_FAILED with words a user understands."""
    a_structural_study(tmp_path / "structural")
    a_lossy_study(tmp_path / "lossy", seed=2)
    with a_world(tmp_path / "world") as world:
        visitor = started(world)
        plain = order_after_sending(world, tmp_path / "structural")
        world.wait_for(plain, OrderState.QC_FAILED)
        assert "diffusion" in " ".join(failed_checks(visitor, plain))
        lossy = order_after_sending(world, tmp_path / "lossy")
        world.wait_for(lossy, OrderState.QC_FAILED)
        assert "lossless" in " ".join(failed_checks(visitor, lossy))
        # Past quality control nothing is invented: without an input the order fails, with a failure report.
        visitor.post(f"/api/orders/{plain}/bypass", {"reason": "to see what happens"})
        world.wait_for(plain, OrderState.FAILED)
        until(lambda: bool(world.rows("SELECT id FROM reports WHERE kind = 'failure'")), "the failure report", PATIENCE_S)
        view = visitor.get(f"/api/orders/{plain}")
        assert view["code"] == "nothing-to-process"
        assert [one["kind"] for one in view["reports"]] == ["failure"]


@pytest.mark.needs_data
def test_real_studies_of_five_vendors_reach_a_report(tmp_path: Path, real_data: Path) -> None:
    """PRO-01, QC-01: Siemens mosaic and enhanced, Philips at once; Canon and UIH after a person gave age and sex; GE's two
    slices, the same in every volume, end in a named state or a report after a bypass."""
    with a_world(tmp_path / "world", {"compute": {"workers": 2}}) as world:
        visitor = started(world)
        sent = {name: order_after_sending(world, real_data / name) for name in (*WITH_DEMOGRAPHICS, *WITHOUT_DEMOGRAPHICS)}
        for name in WITHOUT_DEMOGRAPHICS:
            world.wait_for(sent[name], OrderState.QC_FAILED)
            assert set(failed_checks(visitor, sent[name])) - {"age", "sex"} == SAME_PIXELS.get(name, set())
            visitor.post(f"/api/orders/{sent[name]}/metadata", {"age": "45Y", "sex": "M"})
        for name in (*WITH_DEMOGRAPHICS, *WITHOUT_DEMOGRAPHICS[:2]):
            world.wait_for(sent[name], OrderState.DELIVERED)
            (report,) = visitor.get(f"/api/orders/{sent[name]}")["reports"]
            content = json.loads(visitor.bytes_of(f"/api/reports/{report['report']}/json"))
            assert content["sections"][0]["rows"], name
        world.wait_for(sent["ge_pioneer_classic_dwi_phantom"], OrderState.QC_FAILED)
        visitor.post(f"/api/orders/{sent['ge_pioneer_classic_dwi_phantom']}/bypass", {"reason": "to see what happens"})
        ge = world.wait_for(sent["ge_pioneer_classic_dwi_phantom"], OrderState.DELIVERED, OrderState.FAILED)
        assert ge.state is OrderState.DELIVERED or ge.code not in ("", "internal")
