"""De-identification as people ask for it: what would leave, the passport, the proof once more, the linking table (DEID-09)."""

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from api.guards import declared
from api.views import View
from api.visit import Visit
from appliance import proof
from appliance.deidentify.passport import Passport
from appliance.deidentify.preview import Line, Staying

_PASSPORT = "/api/orders/{order:str}/passport"


class PreviewAsked(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """Which series (all without one), and which fields of the de-identification settings to change for once."""

    series: Annotated[str, msgspec.Meta(max_length=64)] = ""
    what_if: dict[str, Any] = {}


class PreviewView(View, frozen=True, kw_only=True):
    """What would happen to the first instance of each series, attribute by attribute."""

    study: str
    profile: str
    profile_version: str
    lines: list[Line]
    staying: list[Staying]
    """Series that would not leave at all."""


class ResidueView(View, frozen=True, kw_only=True):
    """Where something is, never what."""

    instance: str
    place: str
    rule: str


class RecheckView(View, frozen=True, kw_only=True):
    """Whether a passport still holds."""

    order: str
    good: bool
    genuine: bool
    unchanged: bool
    remark: str
    residues: list[ResidueView]


class LinkView(View, frozen=True, kw_only=True):
    """One UID of the originals and the one that left in its place."""

    original: str
    new: str


class LinkingView(View, frozen=True, kw_only=True):
    """The linking table of a study."""

    study: str
    links: list[LinkView]


@post(
    "/api/studies/{study:str}/deidentification-preview",
    operation_id="previewDeidentification",
    tags=["de-identification"],
    status_code=200,
    **declared("identity.preview", 404, 409, 422, 503),
)
async def preview_deidentification(
    visit: NamedDependency[Visit], study: FromPath[str], data: JSONBody[PreviewAsked]
) -> PreviewView:
    """Before and after of every attribute, under the settings or a what-if of them; nothing leaves, nothing is kept.

    The answer shows patient values, so it is written into the audit like a reveal.
    """
    found = await visit.id_of("study", study)
    await visit.note("identity.preview", found)
    made = await proof.preview(visit.house, found, data.what_if, series=data.series)
    return PreviewView(
        study=found,
        profile=made.profile,
        profile_version=made.profile_version,
        lines=made.lines,
        staying=made.staying,
    )


@get(_PASSPORT, operation_id="getPassport", tags=["de-identification"], **declared("orders.read", 404, 409))
async def get_passport(visit: NamedDependency[Visit], order: FromPath[str]) -> Passport:
    """The signed passport of an order: profile, settings, files with digests, findings by tag."""
    return await proof.passport(await visit.id_of("order", order))


@get(
    _PASSPORT + "/pdf",
    operation_id="getPassportPage",
    tags=["de-identification"],
    media_type="application/pdf",
    **declared("orders.read", 404, 409, 422, 503),
)
async def get_passport_page(visit: NamedDependency[Visit], order: FromPath[str]) -> Response[bytes]:
    """The passport as one page."""
    found = await visit.id_of("order", order)
    paper = (await visit.house.settings()).settings.reports.paper
    made = await proof.page(visit.house, found, paper=paper)
    name = {"Content-Disposition": f'attachment; filename="{found}_passport.pdf"'}
    return Response(made, media_type="application/pdf", headers=name)


@post(
    _PASSPORT + "/verify",
    operation_id="verifyPassport",
    tags=["de-identification"],
    status_code=200,
    **declared("orders.read", 404, 409, 422, 503),
)
async def verify_passport(visit: NamedDependency[Visit], order: FromPath[str]) -> RecheckView:
    """Proves the order's files once more: signature, digests, and the whole verifier against the originals."""
    found = await visit.id_of("order", order)
    made = await proof.recheck(visit.house, found)
    await visit.note("order.verify", found, "done" if made.good else "not-as-verified")
    return RecheckView(
        order=found,
        good=made.good,
        genuine=made.genuine,
        unchanged=made.unchanged,
        remark=made.remark,
        residues=[ResidueView(instance=one.instance, place=one.place, rule=one.rule) for one in made.residues],
    )


@post(
    "/api/studies/{study:str}/linking",
    operation_id="exportLinking",
    tags=["de-identification"],
    status_code=200,
    **declared("linking.export", 404),
)
async def export_linking(visit: NamedDependency[Visit], study: FromPath[str]) -> LinkingView:
    """The linking table of a study, original to new; an administrator's alone, and in the audit before it is answered."""
    found = await visit.id_of("study", study)
    await visit.note("linking.export", found)
    linked = await proof.linking(visit.house, found)
    return LinkingView(study=found, links=[LinkView(original=old, new=new) for old, new in sorted(linked.items())])


HANDLERS = (preview_deidentification, get_passport, get_passport_page, verify_passport, export_linking)
