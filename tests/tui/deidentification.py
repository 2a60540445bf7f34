"""What the fake appliance answers about de-identification."""

from collections.abc import Callable
from typing import Protocol

import httpx

from tests.tui.facts import PATIENT, Json


class Proving(Protocol):
    """What is asked of the world."""

    proven: bool


def proof_routes(world: Proving) -> dict[tuple[str, str], Callable[..., httpx.Response]]:
    """The routes of preview, passport, proof and linking table."""
    return {
        ("POST", "/api/studies/*/deidentification-preview"): _preview,
        ("POST", "/api/studies/*/linking"): lambda request, study: httpx.Response(
            200, json={"study": study, "links": [{"original": "1.2.3", "new": "2.25.4"}]}
        ),
        ("GET", "/api/orders/*/passport"): lambda request, order: httpx.Response(200, json=_passport(order)),
        ("GET", "/api/orders/*/passport/pdf"): lambda request, order: httpx.Response(200, content=b"%PDF-1.4 one page"),
        ("POST", "/api/orders/*/passport/verify"): lambda request, order: httpx.Response(200, json=_recheck(world, order)),
    }


def _line(place: str, name: str, action: str, before: str | None, after: str | None) -> Json:
    said = {"place": place, "name": name, "action": action, "before": before, "after": after}
    return {"series": "s", "instance": "i", "vr": "LO", "reason": "why", **said}


def _preview(request: httpx.Request, study: str) -> httpx.Response:
    lines = [
        _line("(0010,0010)", "PatientName", "empty", PATIENT["patient_name"], ""),
        _line("(0008,0080)", "InstitutionName", "remove", "Somewhere", None),
        _line("(0012,0062)", "PatientIdentityRemoved", "add", None, "YES"),
        _line("(0020,0010)", "StudyID", "keep", "1", "1"),
    ]
    profile = {"profile": "safe-harbor-shifted", "profile_version": "1"}
    staying = [{"series": "t", "code": "deid-not-an-image", "what": "A screen capture."}]
    return httpx.Response(200, json={"study": study, **profile, "lines": lines, "staying": staying})


def _passport(order: str) -> Json:
    actions, notes = {"replace UID": 12, "remove": 4}, ["Dates are shifted, not removed."]
    profile = {"profile": "safe-harbor-shifted", "profile_version": "1"}
    return {
        "order": order,
        **profile,
        "instances": 2,
        "residues": [],
        "actions": actions,
        "notes": notes,
        "source": {"expected": 312, "held": 310},
        "signature": "ab" * 64,
    }


def _recheck(world: Proving, order: str) -> Json:
    residues = [] if world.proven else [{"instance": "i", "place": "(0010,0010)", "rule": "attribute must be empty"}]
    truth = {"good": world.proven, "genuine": True, "unchanged": world.proven}
    return {"order": order, **truth, "remark": "", "residues": residues}
