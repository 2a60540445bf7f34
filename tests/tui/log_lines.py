"""The log as the console's world tells it."""

from collections.abc import Callable
from typing import Any

import httpx


class LogLines:
    """Lines, the newest first; `asked` gets what is looked for."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []
        self.lines: list[dict[str, Any]] = [
            {
                "at": f"2036-11-22T12:00:0{number}.000Z",
                "level": "warning" if number == 1 else "info",
                "service": "work",
                "logger": "appliance.pipeline",
                "message": f"stage qc ended {number}\x1b[31m",
                "study": "01930000-7000-7000-8000-000000000001",
                "order": "",
                "code": "",
                "rest": {},
            }
            for number in (2, 1, 0)
        ]

    def routes(self) -> dict[tuple[str, str], Callable[..., httpx.Response]]:
        return {("GET", "/api/logs"): self._search}

    def _search(self, request: httpx.Request) -> httpx.Response:
        asked = dict(request.url.params)
        self.asked.append(asked)
        fitting = [one for one in self.lines if asked.get("text", "") in one["message"]]
        begin = int(asked.get("cursor") or 0)
        end = begin + min(int(asked["limit"]), 2)
        return httpx.Response(200, json={"items": fitting[begin:end], "cursor": str(end) if end < len(fitting) else ""})
