"""What the fake appliance knows: studies in every state, and one patient."""

from datetime import UTC, datetime, timedelta
from typing import Any

NOW = datetime(2026, 11, 22, 13, 32, 7, tzinfo=UTC)
USER, PASSWORD = "admin", "Correct-Horse-7-Battery"
PATIENT = {
    "patient_name": "Quellenbach^Zwetschge",
    "patient_id": "PX-771203-K",
    "birth_date": "1963-02-17",
    "sex": "F",
    "accession": "ACC9917342",
    "study_date": "2026-11-22",
    "study_description": "HEAD DTI Prof. Ohnewein",
}
"""The identity of every fake study; none of it may be on the screen before a reveal."""

FACTS = {
    "RECEIVING": ("Receiving", "○", "o"),
    "STABLE": ("Stable", "◔", "."),
    "QC": ("QC", "?", "?"),
    "QC_FAILED": ("QC failed", "✖", "X"),
    "QUEUED": ("Queued", "◌", "."),
    "HELD": ("Held", "▲", "!"),
    "UPLOADING": ("Uploading", "↑", "^"),
    "PROCESSING": ("Processing", "◐", "~"),
    "REPORTED": ("Reported", "●", "*"),
    "DELIVERED": ("Delivered", "●", "*"),
    "FAILED": ("Failed", "✖", "X"),
    "CANCELLED": ("Cancelled", "⌧", "-"),
}
TERMINAL = {"DELIVERED", "FAILED", "CANCELLED"}
Json = dict[str, Any]


def iso(at: datetime) -> str:
    """As the API writes times."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def identifier(number: int, kind: int = 0) -> str:
    """A UUIDv7 whose end tells the number."""
    return f"019dc3f2-{kind:04x}-7a00-8a00-{0x4EFB00000000 + number * 0x01F3A5C7:012x}"


def study_row(number: int, state: str, **more: Any) -> Json:
    """One row of the list."""
    word, glyph, plain = FACTS[state]
    received = NOW - timedelta(minutes=11 * number)
    return {
        "study": identifier(number),
        "version": 1,
        "order": None if state in {"RECEIVING", "STABLE"} else identifier(number + 40, 1),
        "state": state,
        "word": word,
        "glyph": glyph,
        "plain_glyph": plain,
        "percent": None,
        "step": "",
        "qc": "",
        "products": ["dti"],
        "group": None,
        "received_at": iso(received),
        "updated_at": iso(received + timedelta(minutes=3)),
        "instances": 680,
        "series": 4,
        "has_accession": True,
        "sender": "PACS1",
        "needs_person": state in {"QC_FAILED", "HELD"},
        "terminal": state in TERMINAL,
        "code": "",
        "detail": "",
        "delivery_failed": False,
        "bypassed": False,
        "priority": 0,
        **more,
    }


def eight_studies() -> list[Json]:
    """One study in each of eight states."""
    return [
        study_row(0, "RECEIVING", instances=812, qc="", products=[]),
        study_row(1, "QC"),
        study_row(2, "UPLOADING", percent=62, qc="ok 8/8", group="PARK-01", step="311 of 502 MB"),
        study_row(3, "QC_FAILED", qc="6/8", has_accession=False, code="age-missing", detail="Age and sex are missing."),
        study_row(4, "PROCESSING", percent=43, step="tensor fit 3/7", qc="ok 8/8", products=["fw"]),
        study_row(5, "REPORTED", delivery_failed=True, qc="bypassed", bypassed=True, group="PARK-01"),
        study_row(6, "DELIVERED", qc="ok 17/17", products=["dti", "fw"], received_at=iso(NOW - timedelta(days=2))),
        study_row(7, "CANCELLED", qc="ok 8/8", received_at=iso(NOW - timedelta(days=3))),
    ]


REPORT_TEXT = """Ranvier report - not for clinical use

Order      {order}
Product    DTI 1.0

Measure                     Value   Unit
FA, whole brain             0.412
MD, whole brain             0.79    10-3 mm2/s

QC         8 of 8 checks passed
"""


QC = {
    "verdict": "failed",
    "findings": [
        {
            "check": "age",
            "title": "Age",
            "verdict": "failed",
            "found": "none",
            "expected": "an age",
            "action": "Give the age (m).",
        },
        {
            "check": "directions",
            "title": "Directions",
            "verdict": "passed",
            "found": "32",
            "expected": "at least 6",
            "action": "",
        },
        {
            "check": "b0",
            "title": "Image without diffusion",
            "verdict": "passed",
            "found": "1",
            "expected": "at least 1",
            "action": "",
        },
    ],
}
SERIES = [
    {"series": "a", "number": 1, "modality": "MR", "label": "T1", "instances": 192, "product_input": False},
    {"series": "b", "number": 4, "modality": "MR", "label": "DTI, 64 directions", "instances": 488, "product_input": True},
]
TIMELINE = [
    {
        "at": iso(NOW - timedelta(minutes=12)),
        "name": "instances-arrived",
        "text": "680 instances filed from PACS1.",
        "severity": "info",
    },
    {"at": iso(NOW - timedelta(minutes=11)), "name": "study-stable", "text": "Study version 1 is stable.", "severity": "info"},
    {"at": iso(NOW - timedelta(minutes=10)), "name": "qc-failed", "text": "QC failed: age.", "severity": "warning"},
]
PRODUCTS = [
    {"product": "dti", "version": "1.0.0", "own": False, "offered": True, "reason": ""},
    {
        "product": "volumes",
        "version": "",
        "own": True,
        "offered": False,
        "reason": "command: a product that runs here needs one",
    },
]
SETTINGS: dict[str, Json] = {
    "site": {"name": "gw01", "time_zone": "Europe/Berlin"},
    "receive": {
        "ae_title": "RANVIER_SCP",
        "port": 104,
        "allowed_callers": ["PACS1", "MR2"],
        "quiet_seconds": 60,
        "late_instances": "ask",
        "open_orders": True,
    },
    "delivery": {"destinations": [], "token": "@secret:unchanged"},
}
_TEXT = {"type": "string"}
SETTINGS_SCHEMA: Json = {
    "$ref": "#/$defs/Settings",
    "$defs": {
        "Settings": {"properties": {name: {"$ref": f"#/$defs/{name}"} for name in SETTINGS}},
        "site": {
            "description": "Site",
            "properties": {
                "name": {**_TEXT, "title": "Site name", "description": "Shown in the console.", "maxLength": 64},
                "time_zone": {**_TEXT, "title": "Time zone"},
            },
        },
        "receive": {
            "description": "Receiving (DICOM)",
            "properties": {
                "ae_title": {**_TEXT, "title": "AE title", "x-restart": "receive"},
                "port": {
                    "type": "integer",
                    "title": "Port",
                    "description": "The DICOM port.",
                    "minimum": 1,
                    "maximum": 65535,
                    "x-recommended": "104",
                    "x-restart": "receive",
                },
                "allowed_callers": {"type": "array", "items": _TEXT, "title": "Allowed calling AE titles"},
                "quiet_seconds": {"type": "integer", "title": "Quiet time", "x-unit": "s"},
                "late_instances": {"enum": ["ask", "always", "never"], "title": "Late instances"},
                "open_orders": {"type": "boolean", "title": "Process received studies"},
            },
        },
        "delivery": {
            "description": "Delivery",
            "properties": {
                "destinations": {"type": "array", "items": {"anyOf": []}, "title": "Result destinations"},
                "token": {"type": "string", "format": "password", "writeOnly": True, "title": "Token"},
            },
        },
    },
}
