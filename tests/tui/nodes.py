"""PACS nodes as the console's world tells them: an archive that pages, hides its patients and gives slowly."""

import json
from collections.abc import Callable
from typing import Any

import httpx

from tests.tui.facts import NOW, PATIENT, Json, identifier, iso

NODES: list[Json] = [
    {
        "name": "ARCHIVE",
        "host": "pacs.example",
        "port": 11112,
        "called_ae": "PACS",
        "retrieve": "move",
        "completeness": "pull",
        "tls": True,
    },
    {
        "name": "web one",
        "host": "dicomweb.example",
        "port": 443,
        "called_ae": "",
        "retrieve": "wado",
        "completeness": "off",
        "tls": True,
    },
]
_UNTOLD = ("patient_name", "patient_id", "birth_date", "sex", "accession", "study_date", "description")


def _pull(number: int, **more: Any) -> Json:
    return {
        "pull": identifier(number, 5),
        "node": "ARCHIVE",
        "state": "PENDING",
        "reason": "asked",
        "level": "STUDY",
        "study": None,
        "remaining": None,
        "completed": 0,
        "failed": 0,
        "attempt": 1,
        "detail": "",
        "owner": "admin",
        "created_at": iso(NOW),
        "ended_at": None,
        **more,
    }


def pulls_in_every_state() -> list[Json]:
    """One that runs, one that failed, one that waits, one that is done."""
    away = "The PACS node ARCHIVE refuses the query with A900H."
    return [
        _pull(3, state="RUNNING", completed=120, remaining=192, study=identifier(3)),
        _pull(2, state="FAILED", attempt=3, failed=4, completed=308, detail=away),
        _pull(1),
        _pull(0, state="DONE", completed=312, remaining=0, study=identifier(0), reason="priors", node="web one"),
    ]


class Archive:
    """Holds so many studies; the first is here already. `refusal` is what it answers instead."""

    def __init__(self, studies: int = 3) -> None:
        self.nodes = [dict(node) for node in NODES]
        self.studies = studies
        self.pulls: list[Json] = []
        self.priors = 1
        self.refusal: httpx.Response | None = None
        self.found: list[Json] = []
        self.keys: list[str] = []

    def routes(self) -> dict[tuple[str, str], Callable[..., httpx.Response]]:
        """What answers about nodes."""
        return {
            ("GET", "/api/nodes"): lambda request: httpx.Response(200, json=self.nodes),
            ("POST", "/api/nodes/*/find"): self._find,
            ("POST", "/api/nodes/*/pulls"): self._ask,
            ("POST", "/api/studies/*/priors"): self._priors,
            ("GET", "/api/pulls"): lambda request: httpx.Response(200, json={"items": self.pulls}),
            ("POST", "/api/pulls/*/cancel"): self._cancel,
        }

    def _find(self, request: httpx.Request, node: str) -> httpx.Response:
        asked = json.loads(request.content)
        self.found.append(asked)
        if self.refusal is not None:
            return self.refusal
        numbers = list(range(self.studies))
        level, pick = asked.get("level", "STUDY"), asked.get("pick", "")
        if pick and level == "STUDY":
            numbers = [int(pick.rpartition("-")[2])]
        rest = numbers[asked["skip"] :]
        items = [self._answer(number, level, asked["reveal"]) for number in rest[: asked["limit"]]]
        return httpx.Response(200, json={"items": items, "more": len(rest) > asked["limit"]})

    def _answer(self, number: int, level: str, reveal: bool) -> Json:
        told = {**PATIENT, "description": PATIENT["study_description"], "patient_id": f"{PATIENT['patient_id']}{number}"}
        return {
            "pick": f"pick-{level}-{number}",
            "study": identifier(number) if number == 0 and level == "STUDY" else None,
            "modalities": "MR\\SR",
            "instances": 312 + number,
            "series": 4,
            "number": f"{number + 1}",
            **{name: told[name] if reveal else None for name in _UNTOLD},
        }

    def _ask(self, request: httpx.Request, node: str) -> httpx.Response:
        self.keys.append(request.headers.get("idempotency-key", ""))
        rows = [_pull(len(self.pulls) + number) for number, _ in enumerate(json.loads(request.content)["picks"])]
        self.pulls = [*reversed(rows), *self.pulls]
        return httpx.Response(201, json={"items": rows})

    def _priors(self, request: httpx.Request, study: str) -> httpx.Response:
        if self.refusal is not None:
            return self.refusal
        rows = [_pull(len(self.pulls) + number, reason="priors") for number in range(self.priors)]
        self.pulls = [*rows, *self.pulls]
        return httpx.Response(201, json={"items": rows})

    def _cancel(self, request: httpx.Request, pull: str) -> httpx.Response:
        row = next(one for one in self.pulls if one["pull"] == pull)
        row["state"] = "CANCELLED"
        return httpx.Response(200, json=row)
