"""Storage commitment over real associations: a positive answer means read again and found to be what came (REC-11)."""

import json
import ssl
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pynetdicom import AE, evt

from appliance import certificates
from appliance.checkpoint import undisturbed
from appliance.promises import PUSH_MODEL, PUSH_MODEL_INSTANCE
from tests.certificates import make
from tests.phantoms import PhantomStudy
from tests.receiving import Receiver, Section, opened, until_async
from tests.senders import Sent, send
from tests.servers import HOST, a_free_port, an_orthanc, until

SECONDS = 40.0


class Scanner:
    """A sender with storage commitment that keeps every result it is told."""

    def __init__(self, title: str = "MODALITY") -> None:
        self.results: list[tuple[int, Dataset]] = []
        self.told = threading.Condition()
        self.ae = AE(ae_title=title)
        self.ae.add_requested_context(PUSH_MODEL)
        self.handlers: list[Any] = [(evt.EVT_N_EVENT_REPORT, self._on_report)]

    def _on_report(self, event: Any) -> tuple[int, None]:
        with self.told:
            self.results.append((event.event_type, event.event_information))
            self.told.notify_all()
        return 0x0000, None

    def ask(
        self,
        port: int,
        instances: list[Sent],
        *,
        stay: bool,
        transaction: str = "2.25.8",
        instance: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> int:
        """Asks, and stays for the result or goes at once; gives the status of the answer."""
        secured = (tls, HOST) if tls else None
        assoc = self.ae.associate(HOST, port, ae_title="RANVIER_SCP", evt_handlers=self.handlers, tls_args=secured)
        assert undisturbed(assoc).is_established
        wanted = Dataset()
        wanted.TransactionUID = transaction
        wanted.ReferencedSOPSequence = [_item(one) for one in instances]
        status, _ = assoc.send_n_action(wanted, 1, PUSH_MODEL, instance or PUSH_MODEL_INSTANCE)
        if stay:
            self.wait(1)
        assoc.release()
        return int(status.Status)

    def wait(self, count: int) -> None:
        with self.told:
            assert self.told.wait_for(lambda: len(self.results) >= count, SECONDS), "no result came"

    def listen(self, port: int, tls: ssl.SSLContext | None = None) -> Any:
        """Takes results over associations of the receiver's."""
        self.ae.add_supported_context(PUSH_MODEL, scu_role=False, scp_role=True)
        return self.ae.start_server((HOST, port), block=False, evt_handlers=self.handlers, ssl_context=tls)


def _item(sent: Sent) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sent.sop_class, sent.sop_instance
    return item


def reasons(result: Dataset) -> dict[str, int]:
    return {one.ReferencedSOPInstanceUID: one.FailureReason for one in result.get("FailedSOPSequence", [])}


@pytest.fixture(scope="module")
def scanner_port() -> int:
    return a_free_port()


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory, scanner_port: int) -> Iterator[Receiver]:
    section = Section(quiet_seconds=60, commitment_addresses=(f"AWAY={HOST}:{scanner_port}",))
    with Receiver(tmp_path_factory.mktemp("commitment"), section) as one:
        yield one


async def test_what_is_filed_is_committed_to_over_the_same_association(receiver: Receiver, phantom: PhantomStudy) -> None:
    """REC-11"""
    sent = [Sent.of(file) for file in phantom.files[:5]]
    assert send(receiver.port, sent) == [0] * 5
    scanner = Scanner()
    assert scanner.ask(receiver.port, sent, stay=True) == 0
    kind, result = scanner.results[0]
    assert (kind, result.TransactionUID) == (1, "2.25.8")
    assert {one.ReferencedSOPInstanceUID for one in result.ReferencedSOPSequence} == {one.sop_instance for one in sent}
    assert "FailedSOPSequence" not in result


async def test_unknown_foreign_damaged_and_missing_instances_get_their_reasons(
    receiver: Receiver, phantom: PhantomStudy
) -> None:
    """REC-11"""
    sent = [Sent.of(file) for file in phantom.files[5:10]]
    foreign, damaged, missing, wrong_class, well = sent
    assert send(receiver.port, sent[1:]) == [0] * 4
    assert send(receiver.port, [foreign], calling="SOMEBODY") == [0]
    async with opened(receiver.home) as house:
        paths: dict[str, Path] = {}

        async def all_filed() -> bool:
            rows = await house.records.run("SELECT sop_key, path FROM instances")
            paths.update({row["sop_key"]: house.storage.absolute(row["path"]) for row in rows})
            return {house.keys.digest("sop-uid", one.sop_instance) for one in sent} <= paths.keys()

        await until_async(all_filed, "these five are filed, whatever the test before left in the receiver")
        at = paths[house.keys.digest("sop-uid", damaged.sop_instance)]
        content = bytearray(at.read_bytes())
        content[-1] ^= 1
        at.write_bytes(content)
        paths[house.keys.digest("sop-uid", missing.sop_instance)].unlink()
    unknown = Sent(well.sop_class, "2.25.404", well.transfer_syntax, b"")
    mistaken = Sent("1.2.840.10008.5.1.4.1.1.2", wrong_class.sop_instance, well.transfer_syntax, b"")
    scanner = Scanner()
    assert scanner.ask(receiver.port, [foreign, damaged, missing, mistaken, unknown, well], stay=True) == 0
    kind, result = scanner.results[0]
    assert kind == 2
    assert [one.ReferencedSOPInstanceUID for one in result.ReferencedSOPSequence] == [well.sop_instance]
    assert reasons(result) == {
        foreign.sop_instance: 0x0112,
        damaged.sop_instance: 0x0110,
        missing.sop_instance: 0x0112,
        wrong_class.sop_instance: 0x0119,
        unknown.sop_instance: 0x0112,
    }


def test_who_has_gone_is_called_back_even_after_a_restart(receiver: Receiver, phantom: PhantomStudy, scanner_port: int) -> None:
    """REC-11"""
    scanner = Scanner("AWAY")
    unknown = Sent.of(phantom.files[0])
    assert scanner.ask(receiver.port, [unknown], stay=False, transaction="2.25.9") == 0
    receiver.kill()
    server = scanner.listen(scanner_port)
    try:
        # The first try may have been before the kill; the next one comes ten seconds after it.
        receiver.start()
        with scanner.told:
            assert scanner.told.wait_for(lambda: scanner.results, SECONDS), "nobody called back"
    finally:
        server.shutdown()
    assert scanner.results[0][1].TransactionUID == "2.25.9"


def test_over_tls_only_who_proves_its_name_is_called_back(tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-03, REC-11: both sides show certificates of one authority; a stranger at the same address is told nothing."""
    authority = make("authority.test", authority=True)
    own, device, stranger = make(by=authority), make("AWAY", by=authority), make("AWAY")
    port = a_free_port()
    section = Section(
        quiet_seconds=60,
        tls=True,
        tls_mutual=True,
        tls_certificate=own.certificate,
        tls_key=own.key,
        tls_authority=authority.certificate,
        commitment_addresses=(f"AWAY={HOST}:{port}/tls",),
    )
    client = ssl.create_default_context(cadata=authority.certificate)
    certificates.present(client, device.certificate, device.key)
    unknown = [Sent.of(phantom.files[0])]
    with Receiver(tmp_path / "home", section) as receiver:
        scanner, false_one = Scanner("AWAY"), Scanner("AWAY")
        server = false_one.listen(port, certificates.server_context(stranger.certificate, stranger.key))
        try:
            assert scanner.ask(receiver.port, unknown, stay=False, transaction="2.25.10", tls=client) == 0
            said = receiver.home / "output-for-test"
            until(lambda: "no result can be sent to AWAY" in said.read_text(), "the stranger is told nothing", SECONDS)
        finally:
            server.shutdown()
        server = scanner.listen(
            port, certificates.server_context(device.certificate, device.key, authority.certificate, demand=True)
        )
        try:
            # The first result is tried again after ten seconds; another one goes at once.
            assert scanner.ask(receiver.port, unknown, stay=False, transaction="2.25.11", tls=client) == 0
            scanner.wait(1)
        finally:
            server.shutdown()
        assert not false_one.results
        assert scanner.results[0][1].TransactionUID in ("2.25.10", "2.25.11")


def test_a_request_that_makes_no_sense_is_refused_with_its_reason(receiver: Receiver, phantom: PhantomStudy) -> None:
    sent = [Sent.of(phantom.files[0])]
    assert Scanner().ask(receiver.port, [], stay=False) == 0x0114
    assert Scanner().ask(receiver.port, sent, stay=False, transaction="") == 0x0114
    assert Scanner().ask(receiver.port, sent, stay=False, instance="1.2.3") == 0x0112


def test_orthanc_is_told_that_what_it_sent_is_safe(tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-11"""
    with an_orthanc(tmp_path / "orthanc") as orthanc:
        section = Section(quiet_seconds=60, commitment_addresses=(f"ORTHANC={HOST}:{orthanc.port}",))
        with Receiver(tmp_path / "home", section) as receiver:
            _put(orthanc.http_port, "/modalities/ranvier", {"AET": "RANVIER_SCP", "Host": HOST, "Port": receiver.port})
            sent = [Sent.of(file) for file in phantom.files[:3]]
            assert send(orthanc.port, sent) == [0] * 3
            identifiers = orthanc.get("/instances")
            _post(orthanc.http_port, "/modalities/ranvier/store", {"Resources": identifiers})
            asked = _post(orthanc.http_port, "/modalities/ranvier/storage-commitment", {"Resources": identifiers})
            found = asked["ID"]
            until(lambda: orthanc.get(f"/storage-commitment/{found}")["Status"] != "Pending", "Orthanc is told", SECONDS)
            answer = orthanc.get(f"/storage-commitment/{found}")
            assert answer["Status"] == "Success"
            assert {one["SOPInstanceUID"] for one in answer["Success"]} == {one.sop_instance for one in sent}


def _post(port: int, path: str, body: object) -> Any:
    return _ask("POST", port, path, body)


def _put(port: int, path: str, body: object) -> Any:
    return _ask("PUT", port, path, body)


def _ask(method: str, port: int, path: str, body: object) -> Any:
    request = urllib.request.Request(f"http://{HOST}:{port}{path}", json.dumps(body).encode(), method=method)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"{}")
