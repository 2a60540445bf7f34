"""What reports compare with: the same patient's earlier studies."""

import msgspec
import pytest

from appliance import history
from appliance.house import House
from appliance.moments import new_id
from appliance.products.manifest import ProductResult, Value
from appliance.records import identities, reports, studies
from appliance.records.identities import PatientIdentity
from appliance.records.tables import Order, ProductRun, Study
from appliance.reports.content import ProductSection
from tests.unit.pipeline.conftest import NOW

SECTION = ProductSection(product="dti", version="1.0.0", title="Diffusion tensor")


def _result(fa: float, version: str) -> str:
    values = [
        Value(name="fa_mean_white_matter", label="FA mean, white matter", value=fa),
        Value(name="voxels_brain", label="Voxels, brain", value=1000),
    ]
    made = ProductResult(
        product="dti",
        version=version,
        title="Diffusion tensor",
        intended_use="",
        values=values,
        pictures=[],
        maps=[],
        notes=[],
        provenance={},
        seconds={},
    )
    return msgspec.json.encode(made).decode()


async def a_study(
    house: House, patient_id: str, day: str, fa: float = 0.0, version: str = "1.0.0", *, reported: bool = True
) -> studies.StudyRow:
    """A study of a patient on a day, with a finished run where `fa` is given."""
    study = new_id()
    identity = PatientIdentity(patient_id=patient_id, study_date=day, study_instance_uid=f"1.2.{study[-6:]}")
    row = Study(
        id=study,
        state="STABLE",
        uid_key=study[-32:].replace("-", "").rjust(32, "0"),
        pseudonym=identities.pseudonym(house.keys, "", patient_id),
        first_at=NOW,
        last_at=NOW,
    )
    await Study.insert(row).run()
    await identities.put(house.keys, study, identity)
    if fa:
        order = new_id()
        await Order.insert(Order(id=order, study=study, state="DELIVERED", created_at=NOW, updated_at=NOW)).run()
        run = ProductRun(id=new_id(), order=order, product="dti", state="DONE", result=_result(fa, version))
        await ProductRun.insert(run).run()
        if reported:
            await reports.add(new_id(), order, "report", reports.NextVersion(), content="{}", formats=[], folder="r", now=NOW)
    return await studies.get(study)


async def test_the_same_patients_earlier_results_are_found_newest_first(house: House) -> None:
    """PRO-03: by the appliance's own pseudonym, so that another spelling of the ID is the same patient."""
    await a_study(house, " pat-7 ", "20240110", 0.41)
    await a_study(house, "PAT-7", "20250109", 0.40, "0.9.0")
    await a_study(house, "PAT-7", "20260301", 0.30)
    await a_study(house, "PAT-8", "20250101", 0.35)
    now = await a_study(house, "PAT-7", "20250110")
    found = await history.earlier(house, now, [SECTION])
    assert [(one.days_before, one.product_version, one.rows[0].value) for one in found] == [
        (1, "0.9.0", 0.40),
        (366, "1.0.0", 0.41),
    ]
    assert [row.name for one in found for row in one.rows] == ["fa_mean_white_matter"] * 2


@pytest.mark.parametrize(("patient", "day"), [("", "20250110"), ("PAT-7", ""), ("PAT-7", "unknown")])
async def test_without_a_patient_or_a_date_nothing_is_compared(house: House, patient: str, day: str) -> None:
    await a_study(house, patient, "20240110", 0.41)
    assert await history.earlier(house, await a_study(house, patient, day), [SECTION]) == []


async def test_results_that_were_never_reported_and_products_that_failed_are_not_compared(house: House) -> None:
    await a_study(house, "PAT-7", "20240110", 0.41, reported=False)
    now = await a_study(house, "PAT-7", "20250110")
    assert await history.earlier(house, now, [SECTION]) == []
    await a_study(house, "PAT-7", "20240110", 0.41)
    assert await history.earlier(house, now, [msgspec.structs.replace(SECTION, failure="No brain.")]) == []
    assert len(await history.earlier(house, now, [SECTION])) == 1
