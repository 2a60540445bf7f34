"""Scheduled tasks as the console's world tells them."""

from collections.abc import Callable

import httpx

from tests.tui.facts import Json

TASKS: list[Json] = [
    {
        "task": "maintenance",
        "title": "What is older than its retention is deleted",
        "on": True,
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
        "on": False,
        "running": False,
        "last_at": None,
        "next_at": None,
        "took_ms": 0,
        "result": "",
        "failed": False,
    },
]
RETENTION: Json = {
    "studies": 2,
    "orders": 3,
    "files": 40,
    "bytes": 12_300_000,
    "rows": {"events": 7},
    "logs": 1,
    "kept": {"held": 1},
}


def task_routes(asked: list[str]) -> dict[tuple[str, str], Callable[..., httpx.Response]]:
    """What answers about tasks; `asked` gets those that somebody lets run."""

    def run(_request: httpx.Request, task: str) -> httpx.Response:
        asked.append(task)
        return httpx.Response(200, json=TASKS[0])

    return {
        ("GET", "/api/tasks"): lambda request: httpx.Response(200, json=TASKS),
        ("POST", "/api/tasks/*/run"): run,
        ("GET", "/api/retention"): lambda request: httpx.Response(200, json=RETENTION),
    }
