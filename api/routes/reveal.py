"""Who studies belong to: only here, only when asked for, and in the audit before it is answered (UI-01)."""

from typing import Annotated

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api.guards import declared
from api.views import IdentityView, RevealView
from api.visit import Visit
from appliance import audit
from appliance.moments import iso
from appliance.records import identities

MOST = 200
SHOWN_MS = 30_000


class RevealAsked(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The studies of one visible page."""

    studies: Annotated[list[str], msgspec.Meta(min_length=1, max_length=MOST)]


@post("/api/reveal", operation_id="reveal", tags=["studies"], status_code=200, **declared("identity.reveal", 404))
async def reveal(visit: NamedDependency[Visit], data: JSONBody[RevealAsked]) -> RevealView:
    """The identities of some studies; one audit row for each, written first."""
    studies = [await visit.id_of("study", one) for one in dict.fromkeys(data.studies)]
    await audit.append_each(visit.caller.name, "identity.reveal", studies, "done", visit.origin, visit.now)
    items = []
    for study in studies:
        found = await identities.get(visit.house.keys, study)
        if found is not None:
            items.append(
                IdentityView(
                    study=study,
                    patient_name=found.patient_name,
                    patient_id=found.patient_id,
                    birth_date=found.birth_date,
                    sex=found.sex,
                    accession=found.accession,
                    study_date=found.study_date,
                    study_description=found.study_description,
                )
            )
    return RevealView(items=items, until=iso(visit.now + SHOWN_MS))


HANDLERS = (reveal,)
