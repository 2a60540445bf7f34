"""Studies of an exact accession number or patient ID, found by its digest; the rows stay redacted (UI-01)."""

from typing import Annotated, Literal

import msgspec
from litestar import post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from api.guards import declared
from api.study_lines import study_row
from api.views import StudyRow, View
from api.visit import Visit
from appliance.records import identities, lists

MOST = 50


class LookupAsked(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """The whole value; letters' case and blanks do not matter. It stands in the body: addresses are logged on the way."""

    kind: Literal["accession", "patient"]
    value: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]


class Found(View, frozen=True, kw_only=True):
    """The studies, newest first; `more` says that there are further ones."""

    items: list[StudyRow]
    more: bool


@post("/api/lookup", operation_id="lookupStudies", tags=["studies"], status_code=200, **declared("identity.lookup"))
async def lookup(visit: NamedDependency[Visit], data: JSONBody[LookupAsked]) -> Found:
    """Finds studies by an exact accession number or patient ID; the audit has the digest, never the value."""
    key = identities.lookup_key(visit.house.keys, data.kind, data.value)
    found = await identities.find(data.kind, key, MOST + 1)
    await visit.note("identity.lookup", f"{data.kind}/{key[:16]}", detail=f"{min(len(found), MOST)} studies")
    rows = [study_row(await lists.study_line(visit.house.records, one)) for one in found[:MOST]]
    return Found(items=rows, more=len(found) > MOST)


HANDLERS = (lookup,)
