"""kill -9 of the worker at each step of delivering, for every protocol: one success for each report and destination.

Orthanc, DCMTK, OpenSSH and aiosmtpd stand for the site's systems; each keeps what it got.
"""

import contextlib
import socketserver
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from appliance.delivery.hl7 import END, START
from appliance.states import OrderState
from tests.journeys.dying import STEPS
from tests.journeys.reported import a_reported_order
from tests.journeys.world import PATIENCE_S, HospitalSystem, World, a_world
from tests.servers import HOST, StoreScp, a_storescp, an_orthanc, until
from tests.unit.delivery.test_dicom_more import PLUGIN
from tests.unit.delivery.test_files_and_hl7 import an_sshd
from tests.unit.delivery.test_mail import OUR, Box, a_server


@dataclass
class Sink:
    """Where one destination leads, and what arrived there: one word for each report that its receiver tells apart."""

    section: dict[str, Any]
    got: Callable[[], set[str]]


@contextlib.contextmanager
def an_mllp_listener() -> Iterator[tuple[int, list[bytes]]]:
    """Accepts every message; gives its port and what came."""
    got: list[bytes] = []

    class Heard(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            message = b""
            while not message.endswith(END):
                piece = self.request.recv(65536)
                if not piece:
                    return
                message += piece
            got.append(message)
            control = message.split(b"\r")[0].split(b"|")[9]
            self.request.sendall(START + b"MSH|^~\\&|HIS||RANVIER||20261122||ACK|9|P|2.5.1\rMSA|AA|" + control + b"\r" + END)

    with socketserver.ThreadingTCPServer((HOST, 0), Heard) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield int(server.server_address[1]), got
        finally:
            server.shutdown()
            thread.join()


def objects_of(pacs: StoreScp) -> set[str]:
    return {str(dcmread(one, stop_before_pixels=True).SOPInstanceUID) for one in pacs.files()}


@contextlib.contextmanager
def by_network(folder: Path) -> Iterator[list[Sink]]:
    """Structured report, STOW-RS, e-mail, SFTP and HL7: the five that the main journey does not have."""
    box = Box()
    with contextlib.ExitStack() as here:
        pacs = here.enter_context(a_storescp(folder / "pacs"))
        web = here.enter_context(an_orthanc(folder / "web", Plugins=[PLUGIN], DicomWeb={"Enable": True}))
        mail = here.enter_context(a_server(box, folder))
        sshd = here.enter_context(an_sshd())
        port, heard = here.enter_context(an_mllp_listener())
        stow = {"protocol": "stow-rs", "own_machine": True, "url": f"http://{HOST}:{web.http_port}/dicom-web"}
        to = {"sender": "r@site.example", "recipients": "a@site.example", "authority": OUR.certificate}
        host = {"host_key": sshd.host_key, "user": sshd.user, "private_key": sshd.private_key, "folder": str(sshd.folder)}
        yield [
            Sink(
                {"protocol": "dicom-sr", "host": HOST, "port": pacs.port, "called_ae": pacs.ae_title},
                lambda: objects_of(pacs),
            ),
            Sink(stow, lambda: set(web.get("/instances"))),
            Sink({"protocol": "email", "host": HOST, "port": mail, **to}, lambda: {str(one["Message-ID"]) for one in box.got}),
            Sink(
                {"protocol": "sftp", "host": HOST, "port": sshd.port, **host},
                lambda: {one.name for one in sshd.folder.iterdir()},
            ),
            Sink(
                {"protocol": "hl7", "host": HOST, "port": port, "identity": True},
                lambda: {one.split(b"\r")[0].split(b"|")[9].decode() for one in heard},
            ),
        ]


@contextlib.contextmanager
def by_the_main_journey(folder: Path) -> Iterator[list[Sink]]:
    """Encapsulated PDF, REST and a folder."""
    share, hospital = folder / "share", HospitalSystem()
    share.mkdir()
    with a_storescp(folder / "pacs") as pacs, contextlib.closing(hospital):
        yield [
            Sink(
                {"protocol": "dicom-pdf", "host": HOST, "port": pacs.port, "called_ae": pacs.ae_title},
                lambda: objects_of(pacs),
            ),
            Sink({"protocol": "rest", "own_machine": True, "url": hospital.url}, lambda: set(hospital.bodies)),
            Sink({"protocol": "folder", "folder": str(share)}, lambda: {one.name for one in share.iterdir()}),
        ]


GROUPS = {"network": by_network, "main": by_the_main_journey}


QUICK = ("before-recording", "network")
"""The step at which a report can be sent twice, for the protocols that no other quick test kills."""
CASES = [
    pytest.param(step, group, marks=() if (step, group) == QUICK else pytest.mark.long) for step in STEPS for group in GROUPS
]


@pytest.mark.parametrize(("step", "group"), CASES)
def test_a_worker_killed_at_a_step_of_delivering_leaves_one_success_for_each_destination(
    step: str, group: str, tmp_path: Path
) -> None:
    """RES-04: whatever dies when; several destinations meet one death, and the next worker brings each its report once."""
    with contextlib.ExitStack() as here:
        sinks = here.enter_context(GROUPS[group](tmp_path))
        sections = [{**one.section, "name": one.section["protocol"]} for one in sinks]
        # Waits double, so that all wait at the same time at last, however slow the machine is.
        attempts = 10 if step == "while-waiting" else 3
        delivery = {"destinations": sections, "first_wait_s": 10, "attempts": attempts}
        change = {"delivery": delivery, "receive": {"open_orders": False}}
        world = here.enter_context(a_world(tmp_path / "world", change))
        names = [str(one["name"]) for one in sections]
        rows = world.ask(lambda house: a_reported_order(house, *names))
        dies_at(world, step, len(names))
        if step == "before-recording":
            assert [len(one.got()) for one in sinks] == [1] * len(sinks), "every receiver has it, and nobody wrote that down"
            assert {row["state"] for row in world.rows("SELECT state FROM deliveries")} == {"SENDING"}
        world.start("work")
        world.wait_for(rows[0].order, OrderState.DELIVERED)
        happened_once(world, sinks, names)


def dies_at(world: World, step: str, count: int) -> None:
    """Starts a worker that dies at a step, and waits for its death."""
    child = world.start("work", "-m", "tests.journeys.dying", step, str(count))

    def waiting() -> bool:
        assert child.poll() is None, world.output("work")[-3000:]
        found = world.rows("SELECT state, attempt FROM deliveries")
        return all(row["state"] == "PENDING" and row["attempt"] > 0 for row in found)

    if step == "while-waiting":
        until(waiting, "deliveries that wait for their second attempt", PATIENCE_S)
        world.kill("work")
        return
    until(lambda: child.poll() is not None, f"the death {step}: {world.output('work')[-3000:]}", PATIENCE_S)
    assert child.returncode == -9, world.output("work")[-3000:]
    world.running.pop("work")


def happened_once(world: World, sinks: list[Sink], names: list[str]) -> None:
    assert {name: len(sink.got()) for name, sink in zip(names, sinks, strict=True)} == dict.fromkeys(names, 1)
    rows = world.rows("SELECT destination, state FROM deliveries ORDER BY destination")
    assert [row["destination"] for row in rows] == sorted(names)
    assert {row["state"] for row in rows} <= {"SENT", "SENT_WITH_WARNING"}
    (told,) = world.rows("SELECT COUNT(*) AS n FROM events WHERE name = 'delivery-sent'")
    (audited,) = world.rows("SELECT COUNT(*) AS n FROM audit WHERE action = 'delivery.sent'")
    assert (told["n"], audited["n"]) == (len(names), len(names)), "each success is told and audited once"
    assert list((world.home / "storage" / "scratch").iterdir()) == [], "nothing half-done is left"
