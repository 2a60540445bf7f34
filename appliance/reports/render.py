"""The stage `report`: makes the asked formats of one report and puts them into its folder, all of them or none."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from appliance.errors import Failed, Misconfigured, Retry
from appliance.reports.content import RenderAnswer, RenderRequest, file_name
from appliance.reports.inert import inert_struct
from appliance.storage import OutOfSpace, publish_folder, remove_folder, sync_folder, write_durable

MODULES: dict[str, str] = {
    "json": "appliance.reports.as_json",
    "xml": "appliance.reports.as_xml",
    "txt": "appliance.reports.as_text",
    "pdf": "appliance.reports.as_pdf",
    "png": "appliance.reports.as_png",
    "csv": "appliance.reports.as_csv",
    "dicom-csv": "appliance.reports.as_dicom_csv",
    "fhir": "appliance.reports.as_fhir",
}
"""Format -> the module whose `make(request)` gives its bytes."""


class UnknownFormat(Misconfigured):
    """There is no report format {format}."""

    code = "unknown-format"
    next_step = "Choose one of json, xml, txt, png, pdf, csv, dicom-csv and fhir."


class NotWritten(Failed):
    """Format {format} of the report could not be written ({reason})."""

    code = "report-not-written"
    next_step = "The other data of the order are kept; send the log line of this order to support and retry the order."


class NoRoom(Retry):
    """There is no room on the data disk for the report."""

    code = "report-waits-for-space"
    next_step = "Free space on the data disk; the report is made as soon as there is some."


def run(request: RenderRequest, progress: Callable[[float, str], None]) -> RenderAnswer:
    """Makes the formats; raises `UnknownFormat`, `NotWritten` or `NoRoom`, and then leaves nothing behind.

    A first report's folder appears complete in one step. A later version joins the files that are there: its files are
    finished before the first of them gets its name, and an earlier version's files are never touched.
    """
    for name in request.formats:
        if name not in MODULES:
            raise UnknownFormat(field="formats", format=name)
    clean = harmless(request)
    final = Path(request.out_folder)
    draft = final.with_name(f".{final.name}.{request.content.report}.draft")
    remove_folder(draft)
    told = clean.content
    files = {name: file_name(told.order, told.kind, told.version, name) for name in dict.fromkeys(request.formats)}
    try:
        for done, (name, file) in enumerate(files.items()):
            progress(done / len(files), f"writing {name}")
            write_durable(draft / file, _made(name, clean))
        _publish(draft, final)
    except OutOfSpace:
        raise NoRoom(after=60.0) from None
    finally:
        remove_folder(draft)
    progress(1.0, "report written")
    return RenderAnswer(files=files)


def render(request: RenderRequest, name: str) -> bytes:
    """One format in memory, for copies that a destination wants with the patient's identity on the pages."""
    if name not in MODULES:
        raise UnknownFormat(field="formats", format=name)
    return _made(name, harmless(request))


def harmless(request: RenderRequest) -> RenderRequest:
    """The request with every text from outside made harmless."""
    identity = inert_struct(request.page_identity) if request.page_identity else None
    return RenderRequest(
        content=inert_struct(request.content),
        out_folder=request.out_folder,
        formats=request.formats,
        page_identity=identity,
        paper=request.paper,
    )


def _made(name: str, request: RenderRequest) -> bytes:
    import importlib

    try:
        made: bytes = importlib.import_module(MODULES[name]).make(request)
    except (ValueError, TypeError, KeyError, OSError, ArithmeticError) as fault:
        # reportlab reports what it cannot lay out as one of these; its message may quote the text.
        raise NotWritten(format=name, reason=type(fault).__name__) from None
    return made


def _publish(draft: Path, final: Path) -> None:
    if not final.exists():
        publish_folder(draft, final)
        return
    for file in sorted(draft.iterdir()):
        os.replace(file, final / file.name)
    sync_folder(final)
    shutil.rmtree(draft)
