"""A small appliance as the console sees it: the HTTP contract over a transport in memory; its patients are known."""

import asyncio
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import Any
from urllib.parse import parse_qs

import httpx

from tests.tui.deidentification import proof_routes
from tests.tui.facts import (
    NOW,
    PASSWORD,
    PATIENT,
    PRODUCTS,
    QC,
    REPORT_TEXT,
    SERIES,
    SETTINGS,
    SETTINGS_SCHEMA,
    TIMELINE,
    USER,
    Json,
    eight_studies,
    identifier,
    iso,
    study_row,
)
from tests.tui.groups import Cohorts
from tests.tui.log_lines import LogLines
from tests.tui.nodes import Archive
from tests.tui.schedule import Schedule

FLOW: list[Json] = [
    {
        "section": "delivery",
        "name": "PACS",
        "protocol": "DICOM (Encapsulated PDF)",
        "address": "PACS@pacs.example:11112",
        "gets": "every report as PDF",
        "identified": "yes",
        "encrypted": "no",
        "active": True,
        "remark": "",
        "last_use": iso(NOW),
    }
]


ASSOCIATIONS: list[Json] = [
    {
        "seq": 7,
        "at": iso(NOW),
        "kind": "refused",
        "caller": "CT2",
        "address": "10.10.20.9",
        "sentence": "it proposes only what is not stored here: 1.3.12.2.1107.5.9.1",
        "advice": "add the class to the private storage classes if these objects must be kept",
    }
]
SENDERS: list[Json] = [
    {
        "ae_title": "MR1",
        "address": "10.10.20.7",
        "studies": 1204,
        "instances": 91_000,
        "allowed": True,
        "quiet_s": 60,
        "proposed_quiet_s": 180,
        "first_at": iso(NOW),
        "last_at": iso(NOW),
    },
    {
        "ae_title": "OLD_CT",
        "address": "10.10.20.8",
        "studies": 3,
        "instances": 90,
        "allowed": False,
        "quiet_s": 60,
        "proposed_quiet_s": None,
        "first_at": iso(NOW),
        "last_at": iso(NOW),
    },
]


class World:
    """The appliance. `down` takes it off the network; `sessions` are the tokens that are valid."""

    def __init__(self, studies: list[Json] | None = None) -> None:
        self.studies = eight_studies() if studies is None else studies
        self.site, self.time_zone = "gw01", "Europe/Berlin"
        self.role = "admin"
        self.down = False
        self.sessions: set[str] = set()
        self.tries_left = 3
        self.locked_until: str | None = None
        self.paused, self.limits, self.waiting = False, True, 0
        self.parts_paused = {"receiving": False, "delivery": False}
        self.log = LogLines()
        self.schedule = Schedule()
        self.cohorts = Cohorts()
        self.archive = Archive()
        self.days_until_full: float | None = None
        self.second_factor = ""
        """The code that the account wants beside the password; empty: none."""
        self.ways: Json = {"password": True, "single_sign_on": False, "single_sign_on_path": ""}
        self.requests: list[tuple[str, str]] = []
        self.bodies: list[tuple[str, Json]] = []
        self.revealed: list[list[str]] = []
        self.qc: Json = QC
        self.settings_version = 3
        self.settings: Json = {section: dict(fields) for section, fields in SETTINGS.items()}
        self.schema: Json = SETTINGS_SCHEMA
        self.refusals: dict[str, str] = {}
        """Field -> why it cannot be changed now."""
        self.proven = True
        """Whether de-identified files are as they were verified."""
        self._streams: list[asyncio.Queue[bytes | None]] = []
        self._seq = 100
        self.stream_headers: list[str] = []
        self._routes = self._table()

    def token(self) -> str:
        """A session that is valid already."""
        self.sessions.add("session-of-the-test")
        return "session-of-the-test"

    def transport(self) -> httpx.MockTransport:
        """What a client of this world uses as its network."""
        return httpx.MockTransport(self.handle)

    # Things that happen ---------------------------------------------------------------------------------------------

    def emit(self, name: str, study: str = "", body: Json | None = None) -> None:
        """Sends one live event to everybody who listens."""
        self._seq += 1
        event = {"seq": self._seq, "at": iso(NOW), "name": name, "severity": "info", "title": name, "text": name}
        data = json.dumps({**event, "study": study, "order": "", "body": body or {}})
        for stream in self._streams:
            stream.put_nowait(f"id: {self._seq}\nevent: {name}\ndata: {data}\n\n".encode())

    def cut(self) -> None:
        """Ends all live streams."""
        for stream in self._streams:
            stream.put_nowait(None)

    @property
    def listeners(self) -> int:
        """How many live streams are open."""
        return len(self._streams)

    def change(self, number: int, state: str, **more: Any) -> None:
        """Moves a study to another state and tells."""
        study = identifier(number)
        for index, row in enumerate(self.studies):
            if row["study"] == study:
                kept = {key: row[key] for key in ("received_at", "group", "has_accession", "products", "qc", "instances")}
                self.studies[index] = study_row(number, state, **{**kept, **more})
        self.emit("order-moved", study)

    # HTTP -----------------------------------------------------------------------------------------------------------

    async def handle(self, request: httpx.Request) -> httpx.Response:
        """One request."""
        if self.down:
            raise httpx.ConnectError("connection refused", request=request)
        path = request.url.path
        self.requests.append((request.method, path))
        if request.content and request.headers.get("content-type") == "application/json":
            self.bodies.append((path, json.loads(request.content)))
        if path == "/api/sign-in-ways":
            return _answer(self.ways)
        if path == "/api/login/code":
            return self._login_by_code(request)
        if path in {"/api/login", "/api/health"}:
            return self._login(request) if path == "/api/login" else _answer(self._health())
        if request.headers.get("authorization", "").removeprefix("Bearer ") not in self.sessions:
            return problem(401, "signed-out", "You are not signed in.", "No valid session.")
        if path == "/api/events":
            return self._events(request)
        for (method, pattern), answer in self._routes.items():
            parts = _matches(pattern, path)
            if method == request.method and parts is not None:
                return answer(request, *parts)
        return problem(404, "unknown", "There is no such thing.", path)

    def _table(self) -> dict[tuple[str, str], Callable[..., httpx.Response]]:
        return {
            ("GET", "/api/me"): lambda request: _answer({"user": USER, "role": self.role, "expires_at": None}),
            ("POST", "/api/logout"): self._logout,
            ("GET", "/api/status"): lambda request: _answer(self._status()),
            ("GET", "/api/studies"): self._list,
            ("GET", "/api/studies/*"): self._study,
            ("POST", "/api/studies/*/force-stable"): self._force_stable,
            ("POST", "/api/reveal"): self._reveal,
            ("POST", "/api/lookup"): self._lookup,
            ("GET", "/api/data-flow"): lambda request: _answer(FLOW),
            ("GET", "/api/orders"): lambda request: _answer(
                {"items": [self._order(one) for one in self.studies if one["order"]]}
            ),
            ("GET", "/api/orders/*"): lambda request, order: self._of_order(order, self._order),
            ("GET", "/api/orders/*/qc"): lambda request, order: self._of_order(order, lambda row: self.qc),
            ("GET", "/api/orders/*/qc/*/picture"): self._picture,
            **proof_routes(self),
            **self.log.routes(),
            **self.schedule.routes(),
            **self.cohorts.routes(),
            **self.archive.routes(),
            ("PUT", "/api/orders/*/priority"): self._give_priority,
            ("POST", "/api/processing/*"): self._switch,
            ("POST", "/api/receiving/*"): partial(self._pause_part, "receiving"),
            ("POST", "/api/delivery/test-object"): self._test_object,
            ("POST", "/api/delivery/*"): partial(self._pause_part, "delivery"),
            ("POST", "/api/studies/*/release"): lambda request, study: _answer({}),
            ("GET", "/api/associations"): lambda request: _answer(ASSOCIATIONS),
            ("GET", "/api/senders"): lambda request: _answer(SENDERS),
            ("GET", "/api/products"): lambda request: _answer(PRODUCTS),
            ("POST", "/api/orders/*/*"): self._act,
            ("GET", "/api/results"): self._results,
            ("GET", "/api/reports/*/*"): self._file,
            ("POST", "/api/deliveries/*/resend"): lambda request, delivery: _answer({"delivery": delivery}, 202),
            ("GET", "/api/settings"): lambda request: _answer(self._settings_view()),
            ("GET", "/api/settings/schema"): lambda request: _answer(self.schema),
            ("PATCH", "/api/settings"): self._patch_settings,
            ("POST", "/api/settings/test/*"): self._test_settings,
        }

    def _login(self, request: httpx.Request) -> httpx.Response:
        given = json.loads(request.content)
        if self.locked_until:
            return problem(423, "locked", "This account is locked.", "Too many tries.", locked_until=self.locked_until)
        code = given.pop("code", "")
        if given == {"user": USER, "password": PASSWORD} and self.second_factor and code != self.second_factor:
            name = "wrong-code" if code else "second-factor-needed"
            return problem(401, name, "A code is needed beside the password.", "This account has a second factor.")
        if given != {"user": USER, "password": PASSWORD}:
            self.tries_left -= 1
            detail = f"Wrong user or password. {self.tries_left} tries left."
            return problem(401, "wrong-password", "Wrong user or password.", detail)
        return self._session()

    def _login_by_code(self, request: httpx.Request) -> httpx.Response:
        if json.loads(request.content) != {"code": "AAAA-BBBB-CCCC"}:
            return problem(401, "wrong-sign-in-code", "This code is wrong.", "")
        return self._session()

    def _session(self) -> httpx.Response:
        self.sessions.add("session-1")
        answer = _answer({"user": USER, "role": self.role, "expires_at": iso(NOW + timedelta(hours=8))})
        answer.headers["set-cookie"] = "ranvier_session=session-1; HttpOnly; SameSite=Strict; Path=/"
        return answer

    def _logout(self, request: httpx.Request) -> httpx.Response:
        self.sessions.clear()
        return httpx.Response(204)

    def _health(self) -> Json:
        names = ("database", "receive", "work", "disk")
        return {"status": "ok", "parts": [{"name": name, "status": "ok", "detail": ""} for name in names]}

    def _status(self) -> Json:
        kinds = ("receive", "api", "work")
        processes = [
            {"kind": kind, "pid": 400 + index, "started_at": iso(NOW - timedelta(days=12)), "seen_at": iso(NOW), "alive": True}
            for index, kind in enumerate(kinds)
        ]
        return {
            "site": self.site,
            "version": "0.1.0",
            "time_zone": self.time_zone,
            "home_free_bytes": 412 * 2**30,
            "now": iso(NOW),
            "processes": processes,
            "counts": {"studies": len(self.studies), "orders": {"QC_FAILED": 1, "PROCESSING": 1, "DELIVERED": 1}},
            "receive": {
                "ae_title": "RANVIER_SCP",
                "host": "0.0.0.0",
                "port": 104,
                "addresses": ["10.10.20.50"],
                "open_to_everybody": True,
            },
            "queue": {
                "waiting": self.waiting,
                "running": 2,
                "urgent": sum(row["priority"] > 0 for row in self.studies),
                "expected_s": 720,
            },
            "paused": self.paused,
            "receiving_paused": self.parts_paused["receiving"],
            "delivery_paused": self.parts_paused["delivery"],
            "days_until_full": self.days_until_full,
            "mode": "local",
            "limits": self.limits,
            "workers": 2,
            "cluster": "",
        }

    def _list(self, request: httpx.Request) -> httpx.Response:
        query = {key: values[0] for key, values in parse_qs(request.url.query.decode()).items()}
        wanted = query.get("q", "")
        rows = self.studies
        if wanted.startswith("status:"):
            words = wanted.removeprefix("status:").split(",")
            rows = [row for row in rows if row["state"].lower() in words]
        elif wanted.startswith("group:"):
            rows = [row for row in rows if row["group"] == wanted.removeprefix("group:").strip('"')]
        elif wanted.startswith("id:"):
            rows = [row for row in rows if row["study"] in wanted.removeprefix("id:").split(",")]
        elif wanted:
            detail = f"There is no filter called {wanted.split(':')[0]!r}."
            return problem(400, "filter", "This filter cannot be read.", detail, position=0)
        start, limit = int(query.get("cursor", "0")), int(query.get("limit", "200"))
        more = str(start + limit) if start + limit < len(rows) else None
        return _answer({"items": rows[start : start + limit], "next": more, "total": len(self.studies), "matched": len(rows)})

    def _study(self, request: httpx.Request, study: str) -> httpx.Response:
        row = next((one for one in self.studies if one["study"] == study), None)
        if row is None:
            return problem(404, "unknown", "There is no study with this identifier.", "")
        orders = [self._order(row)] if row["order"] else []
        reports = [report for order in orders for report in order["reports"]]
        metadata = {"age": {"value": "063Y", "origin": "DICOM"}, "sex": {"value": "F", "origin": "DICOM"}}
        return _answer(
            {**row, "series_list": SERIES, "orders": orders, "timeline": TIMELINE, "metadata": metadata, "reports": reports}
        )

    def _order(self, row: Json) -> Json:
        number = self.studies.index(row)
        made = row["state"] in {"REPORTED", "DELIVERED"}
        failed = row["delivery_failed"]
        delivery = {
            "delivery": identifier(number, 3),
            "report": identifier(number, 2),
            "destination": "HIS",
            "state": "FAILED" if failed else "SENT",
            "word": "Delivery failed" if failed else "Sent",
            "glyph": "▲" if failed else "●",
            "attempt": 3 if failed else 1,
            "answer": "HTTP 503 Service Unavailable" if failed else "HTTP 201",
        }
        report = {
            "report": identifier(number, 2),
            "order": row["order"],
            "kind": "report",
            "version": 1,
            "formats": ["json", "txt", "png", "pdf"],
            "created_at": row["updated_at"],
        }
        keys = ("order", "study", "state", "word", "glyph", "plain_glyph", "terminal", "needs_person", "code", "detail")
        return {
            **{key: row[key] for key in (*keys, "products", "percent", "step", "priority")},
            "advice": "Give age and sex with m, or bypass with b." if row["state"] == "QC_FAILED" else "",
            "retryable": row["state"] in {"QC_FAILED", "FAILED", "CANCELLED"},
            "stage": "products" if row["state"] == "PROCESSING" else "",
            "attempt": 1,
            "runs": [{"product": name, "version": "1.0", "state": "DONE" if made else "PENDING"} for name in row["products"]],
            "bypass_by": "admin" if row["bypassed"] else "",
            "bypass_reason": "Radiographer confirmed by telephone" if row["bypassed"] else "",
            "created_at": row["received_at"],
            "updated_at": row["updated_at"],
            "deliveries": [delivery] if made else [],
            "reports": [report] if made else [],
        }

    def _of_order(self, order: str, view: Callable[[Json], Json]) -> httpx.Response:
        row = next((one for one in self.studies if one["order"] == order), None)
        return _answer(view(row)) if row else problem(404, "unknown", "There is no order with this identifier.", "")

    def _force_stable(self, request: httpx.Request, study: str) -> httpx.Response:
        number = next(index for index, row in enumerate(self.studies) if row["study"] == study)
        self.change(number, "QC")
        return httpx.Response(202)

    def _lookup(self, request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        known = {"accession": PATIENT["accession"], "patient": PATIENT["patient_id"]}
        items = self.studies[2:4] if asked["value"] == known[asked["kind"]] else []
        return _answer({"items": items, "more": False})

    def _reveal(self, request: httpx.Request) -> httpx.Response:
        studies = json.loads(request.content)["studies"]
        self.revealed.append(studies)
        items = [{"study": study, **PATIENT} for study in studies]
        return _answer({"items": items, "until": iso(NOW + timedelta(seconds=30))})

    def _act(self, request: httpx.Request, order: str, verb: str) -> httpx.Response:
        number = next(index for index, row in enumerate(self.studies) if row["order"] == order)
        moved = {"cancel": "CANCELLED", "bypass": "QUEUED", "metadata": "QC", "retry": "QC", "repair-gradients": "QC"}[verb]
        self.change(number, moved, bypassed=verb == "bypass")
        return _answer(self._order(self.studies[number]))

    def _give_priority(self, request: httpx.Request, order: str) -> httpx.Response:
        row = next(row for row in self.studies if row["order"] == order)
        row["priority"] = {"urgent": 5, "routine": 0}[json.loads(request.content)["priority"]]
        self.emit("priority-given", row["study"])
        return _answer(self._order(row))

    def _switch(self, request: httpx.Request, verb: str) -> httpx.Response:
        self.paused = verb == "pause"
        self.emit("settings-changed")
        return _answer({"paused": self.paused})

    def _pause_part(self, part: str, request: httpx.Request, verb: str) -> httpx.Response:
        self.parts_paused[part] = verb == "pause"
        self.emit("settings-changed")
        return _answer({"paused": self.parts_paused[part]})

    def _results(self, request: httpx.Request) -> httpx.Response:
        items = []
        for row in self.studies:
            if row["state"] in {"REPORTED", "DELIVERED"}:
                order = self._order(row)
                values = [{"label": "FA", "value": 0.412, "unit": ""}, {"label": "MD", "value": 0.79, "unit": "10-3 mm2/s"}]
                items.append(
                    {**order["reports"][0], "study": row["study"], "deliveries": order["deliveries"], "values": values}
                )
        return _answer({"items": items, "next": None, "total": len(items)})

    def _file(self, request: httpx.Request, report: str, kind: str) -> httpx.Response:
        name = f'attachment; filename="{report}_report.{kind}"'
        text = REPORT_TEXT.format(order=report[-8:])
        return httpx.Response(200, content=text.encode(), headers={"content-disposition": name, "content-type": "text/plain"})

    def _picture(self, request: httpx.Request, order: str, check: str) -> httpx.Response:
        name = f'attachment; filename="{order}_{check}.png"'
        return httpx.Response(200, content=a_picture(), headers={"content-disposition": name, "content-type": "image/png"})

    def _settings_view(self) -> Json:
        saved = {"saved_at": iso(NOW - timedelta(days=2)), "saved_by": USER}
        return {"version": self.settings_version, "settings": self.settings, **saved}

    def _patch_settings(self, request: httpx.Request) -> httpx.Response:
        if request.headers.get("if-match", "").strip('"') != str(self.settings_version):
            return problem(412, "settings-stale", "Somebody else saved while you were editing.", "")
        given = json.loads(request.content)
        for section, fields in given.items():
            for name, value in fields.items():
                if f"{section}.{name}" in self.refusals:
                    wrong = {"field": f"{section}.{name}", "message": self.refusals[f"{section}.{name}"]}
                    return problem(422, "settings-refused", "These settings cannot be saved.", "", fields=[wrong])
                if name == "port" and not 1 <= int(value) <= 65535:
                    wrong = {"field": f"{section}.{name}", "message": "expected `int` <= 65535"}
                    return problem(422, "settings-refused", "These settings cannot be saved.", "", fields=[wrong])
                self.settings[section][name] = value
        self.settings_version += 1
        self.emit("settings-changed")
        changed = [f"{section}.{name}" for section, fields in given.items() for name in fields]
        return _answer({"version": self.settings_version, "changed": changed, "restart": ["receive"]})

    def _test_settings(self, request: httpx.Request, what: str) -> httpx.Response:
        given = json.loads(request.content)
        good = given.get("host") == "pacs.example"
        return _answer({"ok": good, "lines": [f"{what} {given.get('name')}: {'C-ECHO succeeded' if good else 'refused'}."]})

    def _test_object(self, request: httpx.Request) -> httpx.Response:
        given = json.loads(request.content)
        return _answer({"ok": True, "lines": [f"{given['patient']} was stored at {given['destination']['name']}."]})

    def _events(self, request: httpx.Request) -> httpx.Response:
        queue: asyncio.Queue[bytes | None] = asyncio.Queue()
        self._streams.append(queue)
        self.stream_headers.append(request.headers.get("last-event-id", ""))

        async def body() -> AsyncIterator[bytes]:
            try:
                yield b": welcome\n\n"
                while (piece := await queue.get()) is not None:
                    yield piece
            finally:
                self._streams.remove(queue)

        return httpx.Response(200, content=body(), headers={"content-type": "text/event-stream"})


def a_picture() -> bytes:
    """A picture of quality control: dark on the left, bright on the right."""
    from PIL import Image

    picture, written = Image.new("L", (80, 40), 20), io.BytesIO()
    picture.paste(230, (40, 0, 80, 40))
    picture.save(written, "PNG")
    return written.getvalue()


def with_a_flipped_table() -> Json:
    """Quality control that found a wrong gradient table, with a picture and what would put it right."""
    address = f"/api/orders/{identifier(3, 1)}/qc/image-motion/picture"
    moved = {
        "check": "image-motion",
        "title": "Motion between volumes",
        "verdict": "warning",
        "found": "at most 3.1 mm",
        "expected": "below 2 mm",
        "action": "Pad the head.",
        "picture": address,
    }
    repair = {"series": "b", "number": 4, "words": "the sign of x wrong", "before": 80.0, "after": 101.0, "consent": ""}
    return {**QC, "findings": [*QC["findings"], moved], "repairs": [repair]}


def problem(status: int, code: str, title: str, detail: str, **more: Any) -> httpx.Response:
    """An answer as RFC 9457 has it."""
    body = {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "request_id": "req-1",
        **more,
    }
    return httpx.Response(status, json={"next_step": "", **body}, headers={"content-type": "application/problem+json"})


def _answer(body: Any, status: int = 200) -> httpx.Response:
    return httpx.Response(status, json=body)


def _matches(pattern: str, path: str) -> list[str] | None:
    wanted, given = pattern.split("/"), path.split("/")
    if len(wanted) != len(given) or any(one not in {"*", other} for one, other in zip(wanted, given, strict=True)):
        return None
    return [other for one, other in zip(wanted, given, strict=True) if one == "*"]


Asgi = Callable[[Json, Callable[[], Awaitable[Json]], Callable[[Json], Awaitable[None]]], Awaitable[None]]


def as_asgi(world: World) -> Asgi:
    """The same world behind a real socket."""

    async def application(scope: Json, receive: Callable[[], Awaitable[Json]], send: Callable[[Json], Awaitable[None]]) -> None:
        if scope["type"] != "http":
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        url = f"http://world{scope['path']}?{scope['query_string'].decode()}"
        answer = await world.handle(httpx.Request(scope["method"], url, headers=scope["headers"], content=body))
        await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.headers.raw})
        assert isinstance(answer.stream, httpx.AsyncByteStream)
        async for piece in answer.stream:
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    return application
