"""The support bundle of an order whose stages keep crashing: what a developer needs, and nothing of the patient.

It is gathered field by field from what is free of identity by construction: our identifiers, counts, standard UIDs of classes
and transfer syntaxes, verdicts without their findings, events, settings of processing, and the machine.
"""

import asyncio
import io
import os
import platform
import zipfile
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import msgspec

from appliance import anchors, sought
from appliance.compute import cgroup, landlock
from appliance.deidentify.last_look import Look
from appliance.house import House
from appliance.moments import iso
from appliance.products import catalogue
from appliance.qc.finding import QcReport
from appliance.records import events, orders, studies
from appliance.records.orders import OrderRow
from appliance.settings import Settings
from appliance.storage import write_durable

BUNDLE = "support-bundle.zip"
_PACKAGES = ("ranvier", "dipy", "nibabel", "numpy", "scipy", "pydicom", "dcm2niix", "distributed", "reportlab", "msgspec")
_ORDER = ("id", "study", "study_version", "state", "products", "priority", "attempt", "failures", "stage", "step", "percent")


async def write_bundle(house: House, settings: Settings, row: OrderRow, crash: str, *, now: int) -> Path:
    """Writes the bundle of an order into the quarantine, replacing an earlier one; gives its path."""
    parts: dict[str, Any] = {
        "order.json": {name: getattr(row, name) for name in _ORDER} | {"crash": crash, "written_at": iso(now)},
        "study.json": await _study(row),
        "events.json": [
            {"at": iso(one.at), "name": one.name, "severity": one.severity, "text": one.event.text()}
            for one in await events.after(0, order=row.id)
            # What a destination answered is its own text and may quote what it was sent.
            if not one.name.startswith("delivery")
        ],
        "runs.json": [
            {name: getattr(one, name) for name in ("product", "product_version", "state", "attempt", "code", "detail")}
            for one in await orders.runs(row.id)
        ],
        "processing.json": _processing(house, settings, row),
        "machine.json": _machine(house),
        "audit.json": {"anchor": (await anchors.current(house, now)).text},
    }
    eye = Look(await sought.of_study(house, settings, row.study, now))
    path = house.storage.quarantine(row.id) / BUNDLE
    await asyncio.to_thread(write_durable, path, _zipped(parts, eye))
    return path


async def _study(row: OrderRow) -> dict[str, Any]:
    study = await studies.get(row.study)
    qc = msgspec.json.decode(row.qc_report, type=QcReport) if row.qc_report else None
    return {
        "instances": study.instances,
        "bytes": study.bytes,
        "origin": study.origin,
        "conflicts": study.conflicts,
        "series": [
            {name: getattr(one, name) for name in ("modality", "sop_class", "transfer_syntax", "instances")}
            for one in await studies.series(row.study)
        ],
        "qc": {one.check: str(one.verdict) for one in qc.findings} if qc else {},
    }


def _processing(house: House, settings: Settings, row: OrderRow) -> dict[str, Any]:
    known = catalogue(house.home)
    shown = ("id", "version", "memory_mb", "cores", "timeout_s", "quiet_s", "out_mb")
    return {
        "compute": {
            name: getattr(settings.compute, name) for name in ("workers", "cores", "memory_mb", "limits", "attempts", "mode")
        },
        "products": [{name: getattr(known[one], name) for name in shown} for one in row.product_list if one in known],
    }


def _machine(house: House) -> dict[str, Any]:
    installed = {(one.name or "").lower(): one.version for one in distributions()}
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "python": platform.python_version(),
        "kernel": platform.release(),
        "architecture": platform.machine(),
        "cores": os.cpu_count(),
        "memory_mb": memory // 1024 // 1024,
        "free_mb": house.storage.free_bytes() // 1024 // 1024,
        "cgroup": cgroup.subtree() is not None,
        "landlock": landlock.version(),
        "packages": {name: installed[name] for name in _PACKAGES if name in installed},
    }


def _zipped(parts: dict[str, Any], eye: Look) -> bytes:
    """The ZIP; a part in which the last look finds something of the patient is left out, and says where it was."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, part in parts.items():
            content = msgspec.json.format(msgspec.json.encode(part), indent=1)
            found = eye.residues(content, name)
            if found:
                withheld = [{"place": one.place, "rule": one.rule} for one in found]
                content = msgspec.json.format(msgspec.json.encode({"withheld": withheld}), indent=1)
            bundle.writestr(name, content)
    return buffer.getvalue()
