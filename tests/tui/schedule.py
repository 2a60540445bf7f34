"""Scheduled tasks and notices as the console's world tells them."""

import json
from collections.abc import Callable
from typing import Any

import httpx

from tests.tui.facts import NOW, Json, identifier, iso

TASKS: list[Json] = [
    {
        "task": "maintenance",
        "title": "What is older than its retention is deleted",
        "cadence": "daily-3",
        "on": True,
        "switched_off": False,
        "running": False,
        "last_at": "2026-11-22T03:00:00.000Z",
        "next_at": "2026-11-23T03:00:00.000Z",
        "took_ms": 12,
        "result": "1 studies, 1 orders, 9 files, 0 rows, 2 log files",
        "failed": False,
    },
    {
        "task": "audit-trail",
        "title": "Rows of the audit leave",
        "cadence": "off in the settings",
        "on": False,
        "switched_off": False,
        "running": False,
        "last_at": None,
        "next_at": None,
        "took_ms": 0,
        "result": "",
        "failed": False,
    },
]
HISTORY: dict[str, list[Json]] = {
    "maintenance": [
        {
            "first_at": "2026-11-22T03:00:00.000Z",
            "last_at": "2026-11-22T03:00:00.000Z",
            "times": 1,
            "took_ms": 12,
            "result": "1 studies, 1 orders, 9 files, 0 rows, 2 log files",
            "failed": False,
        },
        {
            "first_at": "2026-11-20T03:00:00.000Z",
            "last_at": "2026-11-21T03:00:00.000Z",
            "times": 2,
            "took_ms": 4200,
            "result": "failed: OSError",
            "failed": True,
        },
    ]
}
RETENTION: Json = {
    "studies": 2,
    "orders": 3,
    "files": 40,
    "bytes": 12_300_000,
    "rows": {"events": 7},
    "logs": 1,
    "quarantined": 1,
    "kept": {"held": 1},
}


class Schedule:
    """Two tasks with their results, and the notices; `asked` is what somebody wanted of a task."""

    def __init__(self) -> None:
        self.tasks = [dict(one) for one in TASKS]
        self.notices: list[Json] = notices_in_every_state()
        self.asked: list[str] = []

    def routes(self) -> dict[tuple[str, str], Callable[..., httpx.Response]]:
        """What answers about tasks, retention and notices."""
        return {
            ("GET", "/api/tasks"): lambda request: httpx.Response(200, json=self.tasks),
            ("POST", "/api/tasks/*/run"): self._run,
            ("PUT", "/api/tasks/*"): self._switch,
            ("GET", "/api/tasks/*/history"): lambda request, task: httpx.Response(200, json=HISTORY.get(task, [])),
            ("GET", "/api/retention"): lambda request: httpx.Response(200, json=RETENTION),
            ("GET", "/api/notices"): self._notices,
        }

    def _run(self, _request: httpx.Request, task: str) -> httpx.Response:
        self.asked.append(task)
        return httpx.Response(200, json=self.tasks[0])

    def _switch(self, request: httpx.Request, task: str) -> httpx.Response:
        (found,) = [one for one in self.tasks if one["task"] == task]
        on = json.loads(request.content)["on"]
        found.update(switched_off=not on, on=on, next_at="2026-11-23T03:00:00.000Z" if on else None)
        return httpx.Response(200, json=found)

    def _notices(self, request: httpx.Request) -> httpx.Response:
        state = request.url.params.get("state", "")
        return httpx.Response(200, json=[one for one in self.notices if state in ("", one["state"])])


def notices_in_every_state() -> list[Json]:
    """Sent, failed, held back, waiting."""

    def one(number: int, event: str, severity: str, way: str, state: str, reason: str = "", **more: Any) -> Json:
        return {
            "notice": identifier(number, 8),
            "event": event,
            "severity": severity,
            "way": way,
            "state": state,
            "reason": reason,
            "attempts": 0 if state in ("suppressed", "waiting") else 1,
            "at": iso(NOW),
            "sent_at": iso(NOW) if state == "sent" else None,
            "due_at": None,
            **more,
        }

    return [
        one(4, "qc-failed", "warning", "email", "waiting", "quiet hours", due_at="2026-11-23T06:00:00.000Z"),
        one(3, "report-delivery-failed", "error", "webhook", "failed", "The webhook answered HTTP 500.", attempts=3),
        one(2, "high-cpu", "warning", "email", "suppressed", "told 12 min ago; cool-down 60 min"),
        one(1, "dataset-received", "info", "email", "sent", "mail.example took it."),
    ]
