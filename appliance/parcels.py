"""What a delivery takes along: the report's files as they lie, or copies made for this destination alone."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import msgspec

from appliance import sought
from appliance.compute.local import run_stage
from appliance.deidentify.last_look import Sought
from appliance.delivery import destinations, hl7
from appliance.delivery.parcel import Parcel
from appliance.delivery.section import Destination, Hl7
from appliance.house import House
from appliance.moments import iso
from appliance.records import deliveries, groups, identities, orders, reports, studies
from appliance.records.deliveries import DeliveryRow
from appliance.records.identities import PatientIdentity
from appliance.records.orders import OrderRow
from appliance.records.reports import ReportRow
from appliance.reports.cohort_content import EXTENSIONS
from appliance.reports.content import (
    Hl7Names,
    ReportContent,
    file_name,
)
from appliance.searched import Searched, SearchedCopies, SearchRequest
from appliance.settings import Settings
from appliance.states import DeliveryState
from appliance.steps import LIGHT
from appliance.storage import remove_folder

_ELSEWHERE = ("dicom-pdf", "dicom-sr", "dicom-sc", "hl7")
"""Formats that are made for a destination only."""
_THERE = (DeliveryState.SENT, DeliveryState.SENT_WITH_WARNING)


async def parcel_of(
    house: House, row: DeliveryRow, section: Destination, folder: Path, settings: Settings, transaction_uid: str = ""
) -> Parcel:
    """The parcel of one delivery; copies are made below `folder` by a stage. Raises what the stage raises.

    Whatever goes where the patient's identity is not wanted has been looked through as it is, byte for byte; what has not,
    is now (`IdentityFound`).
    """
    if not row.order:
        return await _of_group(house, row, section, settings)
    report = await reports.get(row.report)
    order = await orders.get(row.order)
    identity = await identities.get(house.keys, order.study) or PatientIdentity()
    kept = house.storage.absolute(report.folder)
    files = {one: kept / file_name(row.order, report.kind, report.version, one) for one in report.format_list}
    if destinations.made_anew(section):
        files = await _copies(house, row, report, order, section, identity, folder, settings)
    else:
        taken = {one: files[one] for one in destinations.needs(section) if one in files}
        await _look_through(taken, report.searched, partial(sought.of_study, house, settings, order.study, report.created_at))
    named = identity if destinations.names_in_values(section) else None
    return Parcel(
        order=row.order,
        report=row.report,
        delivery=row.id,
        kind=report.kind,
        version=report.version,
        files=files,
        idempotency_key=row.idempotency_key,
        sop_instance_uid=row.sop_instance_uid,
        transaction_uid=transaction_uid,
        values=_values(order, report, named),
    )


async def _look_through(files: dict[str, Path], searched: str, values: Callable[[], Awaitable[Sought]]) -> None:
    """Has files looked through that are not those that were looked through when they were made; raises what the stage does."""
    passed = msgspec.json.decode(searched, type=dict[str, str])
    changed = {
        name: str(path) for name, path in files.items() if await asyncio.to_thread(sought.digest, path) != passed.get(name)
    }
    wanted = await values() if changed else Sought()
    if not wanted.empty:
        await run_stage("search", SearchRequest(files=changed, sought=wanted), LIGHT, progress=_silent)


async def _silent(_fraction: float, _step: str) -> None:
    """Nobody watches."""


async def _of_group(house: House, row: DeliveryRow, section: Destination, settings: Settings) -> Parcel:
    """A group's report: its files as they lie, under their own name; templates meet the group where an order would stand."""
    report = await groups.report(row.report)
    group = await groups.of_report(row.report)
    folder = house.storage.absolute(report.folder)
    files = {one: folder / f"{report.stem}.{EXTENSIONS[one]}" for one in report.format_list}
    taken = {one: files[one] for one in destinations.needs(section) if one in files}
    await _look_through(taken, report.searched, partial(sought.of_group, house, settings, group.name, report.created_at))
    values = {
        "order": group.name,
        "report": report.id,
        "study": "",
        "kind": "group",
        "group": group.name,
        "version": str(report.version),
        "state": report.reason,
        "verdict": f"{report.done} of {report.members} studies have a result",
        "made_at": iso(report.created_at),
    }
    return Parcel(
        order=group.name,
        report=report.id,
        delivery=row.id,
        kind="group report",
        version=report.version,
        files=files,
        idempotency_key=row.idempotency_key,
        values=values,
    )


async def _copies(
    house: House,
    row: DeliveryRow,
    report: ReportRow,
    order: OrderRow,
    section: Destination,
    identity: PatientIdentity,
    folder: Path,
    settings: Settings,
) -> dict[str, Path]:
    """Format -> the file of this destination alone, for the time of the attempt."""
    wanted = [one for one in destinations.needs(section) if one in _ELSEWHERE or one in report.format_list]
    if not wanted:
        return {}
    await asyncio.to_thread(remove_folder, folder)
    out_folder = folder / "out"
    out_folder.mkdir(parents=True)
    request = SearchedCopies(
        content=msgspec.json.decode(report.content, type=ReportContent),
        out_folder=str(out_folder),
        formats=wanted,
        identity=msgspec.to_builtins(identity),
        identity_on_pages=destinations.wants_identity(section),
        sop_instance_uid=row.sop_instance_uid,
        predecessor_uid=await _predecessor(report, row.destination),
        predecessor_report=report.supersedes,
        sources=await _sources(house, order),
        created_at=report.created_at,
        hl7=_hl7_names(section, row) if isinstance(section, Hl7) else None,
        paper=settings.reports.paper,
        time_zone=settings.site.time_zone,
        sought=None
        if destinations.wants_identity(section)
        else await sought.of_study(house, settings, order.study, report.created_at),
    )
    raw = await run_stage("copies", request, LIGHT, progress=_silent)
    made = msgspec.json.decode(raw, type=Searched).files
    return {one: out_folder / name for one, name in made.items()}


async def _sources(house: House, order: OrderRow) -> list[str]:
    """The original instances of the series that the products used."""
    inputs = msgspec.json.decode(order.inputs or "{}", type=dict[str, list[str]])
    wanted = {series for product in inputs.values() for series in product}
    found = await studies.instances(order.study, order.study_version)
    return [str(house.storage.absolute(one.path)) for one in found if one.series in wanted and not one.conflict]


async def _predecessor(report: ReportRow, destination: str) -> str:
    """The SOP Instance UID under which this destination has the version before; empty when it has none."""
    if not report.supersedes:
        return ""
    before = next((one for one in await deliveries.of_report(report.supersedes) if one.destination == destination), None)
    return before.sop_instance_uid if before is not None and before.state in _THERE else ""


def _hl7_names(section: Hl7, row: DeliveryRow) -> Hl7Names:
    return Hl7Names(
        sending_application=section.sending_application,
        sending_facility=section.sending_facility,
        receiving_application=section.receiving_application,
        receiving_facility=section.receiving_facility,
        processing=section.processing,
        status=section.status,
        control_id=hl7.control_id(row.id),
    )


def _values(order: OrderRow, report: ReportRow, identity: PatientIdentity | None) -> dict[str, str]:
    """What a template may name; the identity only where the destination's setting allows it."""
    content = msgspec.json.decode(report.content, type=ReportContent)
    values = {
        "order": order.id,
        "report": report.id,
        "study": order.study,
        "kind": report.kind,
        "version": str(report.version),
        "state": str(order.state),
        "verdict": content.qc_verdict,
        "made_at": content.made_at,
    }
    values |= {row.name: "" if row.value is None else f"{row.value:g}" for section in content.sections for row in section.rows}
    if identity is not None:
        values |= {
            "patient_id": identity.patient_id,
            "patient_name": identity.patient_name,
            "birth_date": identity.birth_date,
            "accession": identity.accession,
        }
    return values
