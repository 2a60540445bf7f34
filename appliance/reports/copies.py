"""The stage `copies`: what one destination gets of a report, with the patient named or as another standard's object."""

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec

from appliance.moments import uid_of
from appliance.records.identities import PatientIdentity
from appliance.reports import render, sources
from appliance.reports.content import CopyRequest, PageIdentity, RenderAnswer, RenderRequest, file_name
from appliance.reports.sources import Source
from appliance.storage import write_durable

_COMPREHENSIVE_SR = "1.2.840.10008.5.1.4.1.1.88.33"


def run(request: CopyRequest, progress: Callable[[float, str], None]) -> RenderAnswer:
    """Writes each asked format; raises `NoStudy`, `NoImages` or what `render` raises."""
    content, files = request.content, {}
    identity = msgspec.convert(request.identity, PatientIdentity)
    needs_sources = {"dicom-pdf", "dicom-sr", "dicom-sc"} & set(request.formats)
    if content.kind == "test":
        found = [sources.invented(content.order)]
    else:
        found = sources.read(request.sources, identity.study_instance_uid) if needs_sources else []
    for done, name in enumerate(request.formats):
        progress(done / len(request.formats), f"writing {name}")
        files[name] = file_name(content.order, content.kind, content.version, name)
        write_durable(Path(request.out_folder) / files[name], _made(name, request, identity, found))
    progress(1.0, "copies written")
    return RenderAnswer(files=files)


def _made(name: str, request: CopyRequest, identity: PatientIdentity, found: Sequence[Source]) -> bytes:
    match name:
        case "dicom-pdf":
            from appliance.reports.encapsulate import encapsulate

            return encapsulate(
                render.render(pages(request, identity), "pdf"),
                identity,
                content=request.content,
                sop_instance_uid=request.sop_instance_uid,
                series_instance_uid=uid_of(request.content.report),
                now=_local(request),
                identity_on_pages=request.identity_on_pages,
                sources=found,
            )
        case "dicom-sc":
            from appliance.reports.capture import capture

            return capture(
                render.render(pages(request, identity), "pdf"),
                identity,
                content=request.content,
                sop_instance_uid=request.sop_instance_uid,
                now=_local(request),
                identity_on_pages=request.identity_on_pages,
                sources=found,
            )
        case "dicom-sr":
            from appliance.reports.structured import Place, series_uid, structured

            before = None
            if request.predecessor_uid:
                before = Source(_COMPREHENSIVE_SR, request.predecessor_uid, series_uid(request.predecessor_report))
            place = Place(request.sop_instance_uid, _local(request), before)
            return structured(render.harmless(pages(request, identity)).content, identity, place, found)
        case "hl7":
            from appliance.reports.as_hl7 import message

            return message(render.harmless(pages(request, identity)), request.hl7, identity, _local(request))
    return render.render(pages(request, identity), name)


def pages(request: CopyRequest, identity: PatientIdentity) -> RenderRequest:
    """What the pages of this copy are made from."""
    return RenderRequest(
        content=request.content,
        out_folder=request.out_folder,
        formats=request.formats,
        page_identity=_page(identity) if request.identity_on_pages else None,
        paper=request.paper,
    )


def _page(identity: PatientIdentity) -> PageIdentity:
    return PageIdentity(
        patient_name=identity.patient_name,
        patient_id=identity.patient_id,
        birth_date=identity.birth_date,
        issuer=identity.issuer,
        accession=identity.accession,
        study_instance_uid=identity.study_instance_uid,
    )


def _local(request: CopyRequest) -> datetime:
    return datetime.fromtimestamp(request.created_at / 1000, ZoneInfo(request.time_zone))
