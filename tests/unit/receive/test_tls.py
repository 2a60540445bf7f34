"""DICOM over TLS at the door."""

import contextlib
import datetime
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from appliance.certificates import BadCertificate
from appliance.fields import Secret
from appliance.receive.door import Door, Visit
from appliance.receive.section import ReceiveSection
from appliance.receive.tls import context_of, days_left
from tests.servers import HOST, until
from tests.wire import association_request

NOW = datetime.datetime.now(datetime.UTC)
REQUEST = association_request([("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.1")])


def certificate(days: float = 100) -> tuple[str, str]:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ranvier.test")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(NOW - datetime.timedelta(days=1))
        .not_valid_after(NOW + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return made.public_bytes(serialization.Encoding.PEM).decode(), key.private_bytes(*form).decode()


def secured(**values: object) -> ReceiveSection:
    pem, key = certificate()
    return ReceiveSection(tls=True, tls_certificate=pem, tls_key=Secret(key), **values)  # type: ignore[arg-type]


class Hall:
    def __init__(self, section: ReceiveSection, listening: socket.socket) -> None:
        self.context = context_of(section)
        self.admitted: list[Visit] = []
        self.failed: list[str] = []
        self.port = listening.getsockname()[1]
        self.door = Door(
            listening,
            check=lambda _: None,
            admit=self.admitted.append,
            failed=lambda *told: self.failed.append(told[2]),
            seconds=lambda: 10,
            context=lambda: self.context,
        )
        self.door.start()

    def call(self, client: ssl.SSLContext) -> ssl.SSLSocket:
        return client.wrap_socket(socket.create_connection((HOST, self.port), timeout=10))


@contextlib.contextmanager
def a_hall(section: ReceiveSection) -> Iterator[Hall]:
    with socket.create_server((HOST, 0)) as listening:
        hall = Hall(section, listening)
        try:
            yield hall
        finally:
            hall.door.stop()
            for visit in hall.admitted:
                visit.socket.close()


def a_client(authority: str = "", own: tuple[str, str] | None = None, folder: Path = Path()) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED if authority else ssl.CERT_NONE
    if authority:
        context.load_verify_locations(cadata=authority)
    if own:
        (folder / "own.pem").write_text("".join(own))
        context.load_cert_chain(folder / "own.pem")
    return context


def test_silent_callers_do_not_keep_a_tls_caller_out() -> None:
    """REC-03: the handshake of one caller never waits for that of another."""
    section = secured()
    with a_hall(section) as hall, contextlib.ExitStack() as silent:
        for _ in range(5):
            silent.enter_context(socket.create_connection((HOST, hall.port)))
        with hall.call(a_client(section.tls_certificate)) as wire:
            assert wire.version() == "TLSv1.3"
            wire.sendall(REQUEST)
            until(lambda: bool(hall.admitted), "the caller is admitted")
        assert hall.failed == []


def test_a_plain_caller_is_refused_and_explained() -> None:
    """REC-03: with TLS on there is no other way in."""
    with a_hall(secured()) as hall, socket.create_connection((HOST, hall.port), timeout=10) as wire:
        wire.sendall(REQUEST)
        with contextlib.suppress(ConnectionError):
            while wire.recv(100):
                pass
        until(lambda: bool(hall.failed), "it is told")
        assert "TLS handshake failed" in hall.failed[0]
        assert hall.admitted == []


def test_old_versions_and_weak_ciphers_find_nothing_in_common() -> None:
    """REC-03: BCP 195."""
    context = context_of(secured())
    assert context is not None
    assert {cipher["name"].split("_")[0].split("-")[0] for cipher in context.get_ciphers()} <= {"TLS", "ECDHE"}
    assert not [one for one in context.get_ciphers() if "CBC" in one["name"] or "SHA1" in one["name"]]
    with a_hall(secured()) as hall:
        weak = a_client()
        weak.maximum_version = ssl.TLSVersion.TLSv1_2
        weak.set_ciphers("AES128-SHA")
        with pytest.raises((ssl.SSLError, ConnectionError)):
            hall.call(weak)


def test_a_caller_without_a_certificate_is_refused_where_one_is_demanded(tmp_path: Path) -> None:
    """REC-03: mutual TLS."""
    own = certificate()
    section = secured(tls_mutual=True, tls_authority=own[0])
    with a_hall(section) as hall:
        with pytest.raises((ssl.SSLError, ConnectionError)), hall.call(a_client()) as wire:
            wire.sendall(REQUEST)
            if not wire.recv(10):
                raise ConnectionError
        assert hall.admitted == []
        with hall.call(a_client(own=own, folder=tmp_path)) as wire:
            wire.sendall(REQUEST)
            until(lambda: bool(hall.admitted), "the caller with a certificate is admitted")
            assert hall.admitted[0].request().certificate


def test_certificates_are_changed_under_an_open_connection() -> None:
    """REC-03: rotation ends nothing, and the next caller meets the new certificate."""
    before, after = secured(), secured()
    with a_hall(before) as hall, hall.call(a_client(before.tls_certificate)) as open_before:
        hall.context = context_of(after)
        with hall.call(a_client(after.tls_certificate)):
            open_before.sendall(REQUEST)
            until(lambda: bool(hall.admitted), "the caller of before is admitted")


def test_what_does_not_belong_together_is_a_setting_to_change() -> None:
    with pytest.raises(BadCertificate, match="mismatch"):
        context_of(ReceiveSection(tls=True, tls_certificate=certificate()[0], tls_key=Secret(certificate()[1])))
    with pytest.raises(BadCertificate):
        context_of(ReceiveSection(tls=True))
    with pytest.raises(BadCertificate, match="authority"):
        context_of(secured(tls_mutual=True))
    assert context_of(ReceiveSection()) is None


def test_the_days_that_are_left_are_counted() -> None:
    """REC-03: warned about a month ahead."""
    pem, key = certificate(days=20.5)
    section = ReceiveSection(tls=True, tls_certificate=pem, tls_key=Secret(key))
    assert days_left(section, int(NOW.timestamp() * 1000)) == 20
    assert days_left(ReceiveSection(), 0) is None
