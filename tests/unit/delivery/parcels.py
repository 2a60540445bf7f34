"""Parcels and an HTTP endpoint that answers as it is told."""

import contextlib
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec

from appliance.delivery.parcel import Parcel

PHI = "Ranvier^Louise"


@dataclass
class Endpoint:
    """What an HTTP endpoint got, and what it answers: one planned answer after another, then 200."""

    port: int = 0
    scheme: str = "http"
    plan: list[tuple[int, dict[str, str]] | str] = field(default_factory=list)
    got: list[dict[str, Any]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}/reports"


@contextlib.contextmanager
def an_endpoint(*plan: int | tuple[int, dict[str, str]] | str, tls: ssl.SSLContext | None = None) -> Iterator[Endpoint]:
    """An HTTP server for the time of a block. A status, a status with headers, `hang` or `reset` for each request."""
    endpoint = Endpoint(plan=[(one, {}) if isinstance(one, int) else one for one in plan])
    over = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            endpoint.got.append({"method": self.command, "path": self.path, "headers": dict(self.headers), "body": sent})
            step = endpoint.plan.pop(0) if endpoint.plan else (200, {})
            if step == "hang":
                over.wait(30)
                return
            if isinstance(step, str):
                self.connection.close()
                return
            status, headers = step
            self.send_response(status, f"reason with {PHI}")
            body = headers.get("X-Body", json.dumps({"error": f"no such patient {PHI}"})).encode()
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body)

        do_POST = do_PUT = do_OPTIONS = do_GET = answer

        def log_message(self, *_: object) -> None:
            """Tests read `endpoint.got`."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
        endpoint.scheme = "https"
    endpoint.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield endpoint
    finally:
        over.set()
        server.shutdown()
        server.server_close()
        thread.join()


def a_parcel(folder: Path, **changes: Any) -> Parcel:
    """A report in two formats."""
    for name, content in (("pdf", b"%PDF-1.4 report"), ("json", b'{"fa": 0.4}')):
        (folder / f"019a_report.{name}").write_bytes(content)
    parcel = Parcel(
        order="019a",
        report="019b",
        delivery="019c",
        kind="report",
        version=1,
        files={name: folder / f"019a_report.{name}" for name in ("pdf", "json")},
        idempotency_key="key-1",
        sop_instance_uid="2.25.1",
        values={
            "study": "019d",
            "state": "REPORTED",
            "verdict": "passed",
            "made_at": "2026-11-22T13:31:05.120Z",
            "fa_mean": "0.4",
        },
    )
    return msgspec.structs.replace(parcel, **changes)
