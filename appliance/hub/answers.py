"""What the hub answers about an order: its status, what quality control said, and the usage of a key."""

import csv
import io
import json
from datetime import UTC, date, datetime
from typing import Any

from appliance.hub.errors import DatesWrong, FormatUnknown, NoMail

RESULTS = {"txt": "txt", "xml": "xml", "json": "json", "png": "png", "features": "csv"}
"""Format of the protocol -> format of our reports."""
DAY_MS = 86_400_000


def status(*, started: bool, finished: bool = False, failed: bool = False, progress: int = 0, info: str) -> dict[str, Any]:
    """The status of an order in the protocol's form."""
    return {"started": started, "finished": finished, "failed": failed, "progress": progress, "info": info}


def quality(report: dict[str, Any], form: str) -> str:
    """A QC report as text, CSV or JSON; raises `FormatUnknown`."""
    names = ("check", "title", "verdict", "found", "expected", "action")
    rows = [{name: str(one.get(name, "")) for name in names} for one in report["findings"]]
    if form == "json":
        return json.dumps({"verdict": report["verdict"], "findings": rows})
    if form == "csv":
        out = io.StringIO()
        writer = csv.DictWriter(out, names, lineterminator="\r\n")
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue()
    if form != "txt":
        raise FormatUnknown()
    lines = [f"{one['verdict'].upper()}: {one['title']}: {one['found']} (expected: {one['expected']})" for one in rows]
    return "\n".join([f"QC {str(report['verdict']).upper()}", *lines])


def span(start: object, end: object) -> tuple[int, int]:
    """Two days as M/D/YYYY, the second one included, as milliseconds UTC; raises `DatesWrong`."""
    begin, last = _day(start), _day(end)
    if last < begin:
        raise DatesWrong()
    return begin, last + DAY_MS


def _day(text: object) -> int:
    try:
        month, day, year = (int(one) for one in str(text).split("/"))
        found = date(year, month, day)
    except (ValueError, TypeError):
        raise DatesWrong() from None
    return int(datetime(found.year, found.month, found.day, tzinfo=UTC).timestamp()) * 1000


def usage(rows: list[dict[str, str]], start: object, end: object, form: str) -> str:
    """The runs of a key as text or JSON; raises `NoMail`, `FormatUnknown`."""
    if form == "email":
        raise NoMail()
    if form == "json":
        return json.dumps({"startDate": start, "endDate": end, "total": len(rows), "orders": rows})
    if form != "txt":
        raise FormatUnknown()
    lines = [f"{one['date']}  {one['orderId']}  {one['product']}  {one['status']}" for one in rows]
    return "\n".join([f"Usage {start} - {end}", f"Orders run: {len(rows)}", *lines])
