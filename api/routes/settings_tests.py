"""The test buttons of the settings: what stands in the form is tested before it is saved."""

from typing import Annotated, Any

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.guards import declared
from api.views import ProbeView
from api.visit import Visit
from appliance import probes, specimen
from appliance.probes import Kind

Given = Annotated[
    dict[str, Any],
    msgspec.Meta(
        description="Fields of the section as they stand in the form; what is missing is as it is saved. For echo and "
        "delivery: one destination.",
        examples=[{"host": "pacs.example", "port": 104, "called_ae": "PACS"}],
    ),
]


@post(
    "/api/settings/test/{what:str}",
    operation_id="testSettings",
    tags=["settings"],
    status_code=200,
    **declared("deliveries.test", 422),
)
async def test_settings(visit: NamedDependency[Visit], what: FromPath[Kind], data: JSONBody[Given]) -> ProbeView:
    """Tests a connection before it is saved and says exactly what was found, within 15 seconds. No study is sent.

    echo asks a DICOM node for C-ECHO; delivery opens an association, looks at the classes and asks for an echo, or sends one
    marked test by REST; notification sends one test message; saml fetches and compares the identity provider's metadata; cloud
    signs in once; malware asks clamd to find the EICAR test file.
    """
    return await tested(visit, what, data)


@post("/api/delivery/test", operation_id="testDelivery", tags=["results"], status_code=200, **declared("deliveries.test", 422))
async def test_delivery(visit: NamedDependency[Visit], data: JSONBody[Given]) -> ProbeView:
    """The same as the settings' test of a delivery."""
    return await tested(visit, "delivery", data)


class SpecimenWanted(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Where a test object goes, and that somebody agreed to it."""

    destination: Given
    patient: Annotated[
        str, msgspec.Meta(max_length=64, description="Consent: the test patient's ID, which a refusal without it names.")
    ] = ""


@post(
    "/api/delivery/test-object",
    operation_id="storeTestObject",
    tags=["results"],
    status_code=200,
    **declared("deliveries.test", 409, 422),
)
async def store_test_object(visit: NamedDependency[Visit], data: JSONBody[SpecimenWanted]) -> ProbeView:
    """Stores a marked test object of a patient who is nobody where a DICOM or DICOMweb destination leads.

    Without `patient` nothing is sent, and the refusal names the test patient and the destination.
    """
    in_force = (await visit.house.settings()).settings
    found = await specimen.stored(visit.house, in_force, data.destination, patient=data.patient, now=visit.now)
    await visit.note("delivery.test-object", "delivery", "done" if found.ok else "failed")
    return ProbeView(ok=found.ok, lines=found.lines, values=found.values)


async def tested(visit: Visit, what: Kind, data: dict[str, Any]) -> ProbeView:
    """Runs a test and notes in the audit what came out."""
    found = await probes.run((await visit.house.settings()).settings, what, data, now=visit.now)
    await visit.note("delivery.test" if what == "delivery" else "settings.test", what, "done" if found.ok else "failed")
    return ProbeView(ok=found.ok, lines=found.lines, values=found.values)


HANDLERS = (test_settings, test_delivery, store_test_object)
