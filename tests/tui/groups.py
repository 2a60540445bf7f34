"""Groups as the console's world tells them: a cohort at work, one that is done, one without studies."""

import json
from collections.abc import Callable
from typing import Any

import httpx

from tests.tui.facts import NOW, Json, identifier, iso

OUTLIERS = [{"study": identifier(6), "value": 0.91}]


def _group(name: str, **more: Any) -> Json:
    return {
        "group": name,
        "products": {"dti": "1.0.0"},
        "newer": {},
        "studies": 0,
        "done": 0,
        "failed": 0,
        "cancelled": 0,
        "waiting": 0,
        "complete": False,
        "created_by": "admin",
        "created_at": iso(NOW),
        "reports": 0,
        "reported_at": None,
        "delivered": "",
        "next_at": None,
        "sends_on_completion": False,
        **more,
    }


def _report(version: int, state: str, **more: Any) -> Json:
    name = "PARK-01_prediction-indexes_2026-11-22" + (f"_v{version}" if version > 1 else "")
    words = {"SENT": ("Sent", "●", "*"), "FAILED": ("Failed", "✖", "X"), "PENDING": ("Waiting", "◌", ".")}
    word, glyph, plain = words[state]
    delivery = {
        "delivery": identifier(version, 7),
        "report": identifier(version, 6),
        "destination": "HIS",
        "state": state,
        "word": word,
        "glyph": glyph,
        "plain_glyph": plain,
        "attempt": 3 if state == "FAILED" else 1,
        "answer": "HTTP 503 Service Unavailable" if state == "FAILED" else "",
    }
    return {
        "report": identifier(version, 6),
        "version": version,
        "reason": "completed",
        "studies": 200,
        "done": 171,
        "failed": 9,
        "name": name,
        "formats": ["csv", "schema", "pdf", "png"],
        "created_at": iso(NOW),
        "deliveries": [delivery],
        **more,
    }


class Cohorts:
    """Three groups. `refused` ends in the names of the ZIP files that are not taken."""

    def __init__(self) -> None:
        self.groups: list[Json] = [
            _group(
                "PARK-01",
                products={"dti": "1.0.0", "dti-fw": "1.0.0"},
                studies=200,
                done=171,
                failed=9,
                waiting=2,
                reports=2,
                reported_at=iso(NOW),
                delivered="failed",
                next_at="2026-11-26T05:00:00.000Z",
            ),
            _group(
                "MSA-pilot",
                newer={"dti": "1.1.0"},
                studies=24,
                done=24,
                complete=True,
                reports=1,
                reported_at="2026-11-20T17:12:00.000Z",
                delivered="sent",
                sends_on_completion=True,
            ),
            _group("empty one"),
        ]
        self.reports = [_report(2, "FAILED"), _report(1, "SENT")]
        self.refused = "bad.zip"
        self.taken: list[tuple[str, bytes]] = []
        self.asked: list[tuple[str, Json]] = []

    def routes(self) -> dict[tuple[str, str], Callable[..., httpx.Response]]:
        """What answers about groups."""
        return {
            ("GET", "/api/groups"): self._list,
            ("POST", "/api/groups"): self._create,
            ("GET", "/api/groups/*"): lambda request, name: self._one(name),
            ("DELETE", "/api/groups/*"): self._remove,
            ("POST", "/api/groups/*/accept-versions"): self._accept,
            ("GET", "/api/groups/*/statistics"): lambda request, name: httpx.Response(200, json=statistics()),
            ("POST", "/api/groups/*/reports"): self._make,
            ("POST", "/api/groups/*/reports/*/send"): self._send,
            ("GET", "/api/groups/*/reports/*/*"): self._file,
            ("POST", "/api/groups/*/studies"): self._take,
        }

    def _found(self, name: str) -> Json:
        return next(one for one in self.groups if one["group"] == name)

    def _list(self, request: httpx.Request) -> httpx.Response:
        part = request.url.params.get("q", "").lower()
        return httpx.Response(200, json=[one for one in self.groups if part in one["group"].lower()])

    def _one(self, name: str) -> httpx.Response:
        found = self._found(name)
        return httpx.Response(200, json={**found, "report_list": self.reports[: found["reports"]]})

    def _create(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        if any(one["group"] == asked["group"] for one in self.groups):
            body = {"title": f"There is a group {asked['group']} already.", "code": "group-there", "status": 409}
            return httpx.Response(409, json=body)
        products = dict.fromkeys(asked["products"] or ["dti"], "1.0.0")
        self.groups.append(_group(asked["group"], products=products))
        return httpx.Response(201, json={**self.groups[-1], "report_list": []})

    def _remove(self, request: httpx.Request, name: str) -> httpx.Response:
        self.groups.remove(self._found(name))
        return httpx.Response(204)

    def _accept(self, request: httpx.Request, name: str) -> httpx.Response:
        found = self._found(name)
        found["products"], found["newer"] = found["products"] | found["newer"], {}
        return self._one(name)

    def _make(self, request: httpx.Request, name: str) -> httpx.Response:
        asked = json.loads(request.content)
        self.asked.append((name, asked))
        made = _report(3, "PENDING", reason="on demand", deliveries=None)
        made["deliveries"] = _report(3, "PENDING")["deliveries"] if asked["send"] else []
        self.reports.insert(0, made)
        self._found(name)["reports"] += 1
        return httpx.Response(201, json=made)

    def _send(self, request: httpx.Request, name: str, report: str) -> httpx.Response:
        self.asked.append((name, {"again": report}))
        return httpx.Response(202, json={"report": identifier(2, 6), "destinations": 1})

    def _file(self, request: httpx.Request, name: str, report: str, kind: str) -> httpx.Response:
        disposition = f'attachment; filename="{name}_{report[-3:]}.{kind}"'
        return httpx.Response(200, content=b"group,standing\r\n", headers={"content-disposition": disposition})

    def _take(self, request: httpx.Request, name: str) -> httpx.Response:
        content = request.content
        if content.endswith(b"bad"):
            body = {"title": "This ZIP cannot be taken: it is no ZIP file.", "code": "archive-refused", "status": 422}
            return httpx.Response(422, json=body)
        self.taken.append((name, content))
        return httpx.Response(201, json={"studies": [identifier(5)], "stored": 312, "left_out": 2})


def statistics() -> list[Json]:
    """One number with a study that stands out, one without."""
    return [
        {
            "column": "dti.fa_mean",
            "label": "Fractional anisotropy, whole brain",
            "unit": "",
            "count": 171,
            "mean": 0.4312,
            "deviation": 0.0301,
            "least": 0.3517,
            "lower": 0.41,
            "middle": 0.43,
            "upper": 0.45,
            "most": 0.91,
            "outliers": OUTLIERS,
        },
        {
            "column": "dti.md_mean",
            "label": "Mean diffusivity",
            "unit": "µm²/ms",
            "count": 171,
            "mean": 0.81,
            "deviation": 0.05,
            "least": 0.7,
            "lower": 0.78,
            "middle": 0.8,
            "upper": 0.84,
            "most": 0.92,
            "outliers": [],
        },
    ]
