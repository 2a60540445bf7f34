"""Many results in one download: a ZIP that is written while it is sent, with a manifest and a table of all numbers (RES-06)."""

import asyncio
import hashlib
import io
import zipfile
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec

from appliance.house import House
from appliance.moments import iso
from appliance.records import lists
from appliance.records.lists import ResultLine
from appliance.records.paging import Asked
from appliance.reports.as_csv import table
from appliance.reports.content import REPORT_FORMATS, ReportContent, file_name

SCHEMA = "ranvier-bundle/1"
MANIFEST, TABLE = "manifest.json", "results.csv"
_PAGE = 200
_PACKED = frozenset({"png", "pdf"})
"""Formats that are compressed already."""


class BundleFile(msgspec.Struct, kw_only=True, frozen=True):
    """One file of the bundle."""

    name: str
    format: str
    bytes: int
    sha256: str


class BundleReport(msgspec.Struct, kw_only=True, frozen=True):
    """One report of the bundle; `missing` are formats that were asked for and that it does not have."""

    report: str
    order: str
    study: str
    kind: str
    version: int
    files: list[BundleFile]
    missing: list[str]


class _Sink(io.RawIOBase):
    """Where the ZIP is written to: what has come since it was last emptied."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def writable(self) -> bool:
        """It is; and it cannot seek, so that every size stands behind its file."""
        return True

    def write(self, data: object) -> int:
        """Takes a piece."""
        piece = bytes(data)  # type: ignore[call-overload]
        self._waiting += piece
        return len(piece)

    def emptied(self) -> bytes:
        """What has come."""
        found = bytes(self._waiting)
        self._waiting.clear()
        return found


async def bundle(house: House, filter_text: str, formats: Sequence[str], now: int) -> AsyncIterator[bytes]:
    """The pieces of the ZIP: every report that fits the filter, newest first, each file once, then table and manifest.

    No more than one file is held at a time. Raises `FilterProblem` before the first piece.
    """
    sink = _Sink()
    archive = zipfile.ZipFile(sink, "w", allowZip64=True)
    told: list[BundleReport] = []
    contents: list[ReportContent] = []
    cursor = ""
    while True:
        asked = Asked(filter=filter_text, sort="-created", cursor=cursor, limit=_PAGE)
        page = await lists.results_page(house.records, asked, now)
        for line in page.items:
            told.append(await asyncio.to_thread(_add, archive, house, line, formats))
            if line.kind == "report" and line.content:
                contents.append(msgspec.json.decode(line.content, type=ReportContent))
            yield sink.emptied()
        cursor = page.next or ""
        if not cursor:
            break
    archive.writestr(TABLE, table(contents), zipfile.ZIP_DEFLATED)
    manifest = {"schema": SCHEMA, "made_at": iso(now), "filter": filter_text, "formats": list(formats), "reports": told}
    archive.writestr(MANIFEST, msgspec.json.format(msgspec.json.encode(manifest)), zipfile.ZIP_DEFLATED)
    archive.close()
    yield sink.emptied()


def _add(archive: zipfile.ZipFile, house: House, line: ResultLine, formats: Sequence[str]) -> BundleReport:
    there = set(line.formats.split(","))
    passed = msgspec.json.decode(line.searched, type=dict[str, str])
    files, missing = [], []
    for one in formats:
        name = file_name(line.order, line.kind, line.version, one)
        content = _read(house.storage.absolute(line.folder) / name) if one in there and one in REPORT_FORMATS else None
        digest = hashlib.sha256(content or b"").hexdigest()
        # What was looked through for identity when it was made, and is no longer that, does not leave (DEID-09).
        if content is None or passed.get(one, digest) != digest:
            missing.append(one)
            continue
        archive.writestr(name, content, zipfile.ZIP_STORED if one in _PACKED else zipfile.ZIP_DEFLATED)
        files.append(BundleFile(name=name, format=one, bytes=len(content), sha256=digest))
    return BundleReport(
        report=line.report,
        order=line.order,
        study=line.study,
        kind=line.kind,
        version=line.version,
        files=files,
        missing=missing,
    )


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None
