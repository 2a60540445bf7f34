"""The test buttons against the real other side, and against every common way in which it fails."""

import contextlib
import json
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from appliance import probes
from appliance.fields import UNCHANGED, Secret
from appliance.moments import now_ms
from appliance.probe import Probe
from appliance.receive.section import NodesSection, PacsNode
from appliance.settings import Settings, SettingsRefused
from tests.certificates import make
from tests.servers import HOST, Clamd, StoreScp, a_clamd, a_free_port, a_storescp
from tests.unit.delivery.parcels import Endpoint, an_endpoint

SECRET = "Tr0ub4dor&3-secret"


async def found_by(kind: probes.Kind, **values: Any) -> Probe:
    """One test of a form's values over new settings."""
    found = await probes.run(Settings(), kind, values, now=now_ms())
    assert SECRET not in json.dumps(found.lines)
    return found


@contextlib.contextmanager
def a_silent_port() -> Iterator[int]:
    """A port that takes connections and never says a word."""
    with socket.socket() as listener:
        listener.bind((HOST, 0))
        listener.listen(8)
        yield int(listener.getsockname()[1])


@contextlib.contextmanager
def quick(monkeypatch: pytest.MonkeyPatch, seconds: float) -> Iterator[None]:
    """Time-outs of a second, so that silence is noticed soon."""
    for module in ("notify.mail", "notify.messenger", "scan.clamd", "cloud.token", "access.identity_provider"):
        monkeypatch.setattr(f"appliance.{module}.TEST_S", seconds)
    yield


def a_site_with_tls(folder: Path) -> tuple[ssl.SSLContext, str]:
    """What a server presents, and the authority that issued it."""
    authority = make("authority of the site", authority=True)
    pair = make(by=authority)
    (folder / "pair.pem").write_text(pair.certificate + pair.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pair.pem")
    return context, authority.certificate


# --- DICOM ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreScp]:
    """DCMTK's storescp."""
    with a_storescp(tmp_path_factory.mktemp("node")) as found:
        yield found


async def test_an_echo_of_a_real_node_succeeds_and_stores_nothing(node: StoreScp) -> None:
    found = await found_by("echo", host=node.host, port=node.port, called_ae=node.ae_title)
    assert found.ok
    assert found.lines == [
        f"{node.ae_title} accepted the association.",
        "C-ECHO succeeded.",
        "Nothing was stored by this test.",
    ]


async def test_an_echo_says_which_way_it_failed(node: StoreScp, free_port: int) -> None:
    refused = await found_by("echo", host=HOST, port=free_port)
    assert (refused.ok, refused.lines) == (False, [f"{HOST} port {free_port} refused the connection: nothing listens there."])
    unknown = await found_by("echo", host="no-such-host.invalid")
    assert unknown.lines == ["the name no-such-host.invalid is not known to the network."]
    with a_silent_port() as port:
        silent = await found_by("echo", host=HOST, port=port, timeout_s=1)
    assert silent.lines == ["no association with PACS: no connection, no answer, or an abort."]
    with an_endpoint(200) as endpoint:
        wrong = await found_by("echo", host=HOST, port=endpoint.port, timeout_s=2)
    assert not wrong.ok


async def test_a_node_that_wants_another_ae_title_says_so(tmp_path: Path) -> None:
    with a_storescp(tmp_path, "--refuse") as strict:
        found = await found_by("echo", host=strict.host, port=strict.port, called_ae="WRONG")
    assert not found.ok
    assert "rejected the association" in found.lines[0]


async def test_a_delivery_is_tested_with_its_classes(node: StoreScp) -> None:
    found = await found_by(
        "delivery", protocol="dicom-pdf", name="pacs", host=node.host, port=node.port, called_ae=node.ae_title
    )
    assert found.ok
    assert "It takes Encapsulated PDF Storage." in found.lines


async def test_an_echo_is_asked_of_dicom_nodes_only() -> None:
    with pytest.raises(SettingsRefused, match="only DICOM nodes"):
        await found_by("echo", protocol="rest", name="x", url="https://x.example")


async def test_a_node_over_tls_is_shown_the_certificate_that_it_asks_for(tmp_path: Path) -> None:
    """REC-10: mutual TLS with a PACS node, with the stored key where the form shows none of it."""
    authority = make("authority of the site", authority=True)
    theirs, ours = make("pacs", by=authority), make("ranvier", by=authority)
    for name, text in (("cert", theirs.certificate), ("key", theirs.key), ("ca", authority.certificate)):
        (tmp_path / f"{name}.pem").write_text(text)
    options = ["+tls", str(tmp_path / "key.pem"), str(tmp_path / "cert.pem"), "+cf", str(tmp_path / "ca.pem"), "-rc"]
    common = {"name": "archive", "called_ae": "PACS", "tls": True, "authority": authority.certificate, "timeout_s": 5}
    with a_storescp(tmp_path / "node", *options) as strict:
        place = {"host": strict.host, "port": strict.port}
        mine = PacsNode(**common, **place, certificate=ours.certificate, key=Secret(ours.key))  # type: ignore[arg-type]
        in_force = Settings(nodes=NodesSection(nodes=(mine,)))
        form = {**common, **place, "certificate": ours.certificate, "key": UNCHANGED}
        good = await probes.run(in_force, "node", form, now=now_ms())
        nameless = await found_by("node", **common, **place)
    assert good.lines[:2] == ["PACS accepted the association.", "C-ECHO succeeded."]
    assert not nameless.ok
    assert "certificate" in nameless.lines[0]


# --- REST -----------------------------------------------------------------------------------------------------------


async def test_a_rest_delivery_is_a_real_request_that_says_it_is_a_test() -> None:
    with an_endpoint(201) as endpoint:
        values = {"protocol": "rest", "name": "his", "url": endpoint.url, "authentication": "token", "secret": SECRET}
        found = await found_by("delivery", **values, method="PUT", own_machine=True)
    assert (found.ok, found.lines[1:]) == (True, ["PUT answered HTTP 201 Created.", "A marked test was sent, and no report."])
    ((method, headers, body),) = [(one["method"], one["headers"], json.loads(one["body"])) for one in endpoint.got]
    assert (method, headers["Authorization"], headers["X-Ranvier-Test"]) == ("PUT", f"Bearer {SECRET}", "yes")
    assert body["kind"] == "test"


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (401, "It does not accept these credentials."),
        (404, "It knows no such address."),
        (302, "It sends on to another address; set that one."),
        (422, "It does not take this request."),
        (503, "It has a fault of its own."),
        ("reset", "127.0.0.1 broke off or did not speak HTTP"),
        ("hang", "127.0.0.1 took longer than 1 s"),
    ],
)
async def test_a_rest_delivery_says_which_way_it_failed(answer: int | str, words: str) -> None:
    with an_endpoint(answer) as endpoint:
        found = await found_by("delivery", protocol="rest", name="his", url=endpoint.url, own_machine=True, timeout_s=1)
    assert (found.ok, found.lines[-1]) == (False, words)


async def test_a_rest_delivery_to_a_host_without_tls_or_with_a_foreign_certificate_says_so(tmp_path: Path) -> None:
    tls, authority = a_site_with_tls(tmp_path)
    with an_endpoint(200) as plain:
        found = await found_by(
            "delivery", protocol="rest", name="his", url=plain.url.replace("http:", "https:"), own_machine=True, timeout_s=3
        )
        assert found.lines[-1].startswith("127.0.0.1 does not speak TLS there")
    with an_endpoint(200, tls=tls) as strange:
        values: dict[str, Any] = {"protocol": "rest", "name": "his", "url": strange.url, "own_machine": True}
        foreign = await found_by("delivery", **values)
        assert "the certificate of 127.0.0.1 is not trusted" in foreign.lines[-1]
        assert (await found_by("delivery", **values, authority=authority)).ok


# --- malware --------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def clamd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clamd]:
    """Debian's clamd with one signature of ours."""
    with a_clamd(tmp_path_factory.mktemp("clamd")) as found:
        yield found


@pytest.mark.parametrize("by", ["tcp", "unix"])
async def test_the_real_scanner_finds_the_test_virus(clamd: Clamd, by: str) -> None:
    """UPL-07: a real scanner."""
    where = {"port": clamd.port} if by == "tcp" else {"socket": str(clamd.socket)}
    found = await found_by("malware", **where)
    assert found.ok, found.lines
    assert " is ClamAV" in found.lines[0]
    assert found.lines[1:] == [
        "A harmless text passed.",
        "The test virus (EICAR) was found as Ranvier.Test.Virus.UNOFFICIAL.",
    ]


async def test_a_scanner_without_signatures_is_found_out(tmp_path: Path) -> None:
    with a_clamd(tmp_path, knows_the_test_virus=False) as blind:
        found = await found_by("malware", port=blind.port)
    assert not found.ok
    assert "was NOT found" in found.lines[-1]


async def test_a_scanner_that_cannot_be_reached_says_which_way(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def words(**values: Any) -> str:
        found = await found_by("malware", **values)
        assert not found.ok
        return found.lines[-1]

    assert await words(port=free_port) == f"{HOST} port {free_port} refused the connection: nothing listens there."
    assert await words(socket=f"{tmp_path}/none.sock") == f"There is no socket {tmp_path}/none.sock."
    assert await words(host="no-such-host.invalid") == "The name no-such-host.invalid is not known to the network."
    with a_mail_server() as (_, mail_port):
        assert await words(port=mail_port) == f"{HOST} port {mail_port} answers, but is no clamd."
    with quick(monkeypatch, 1), a_silent_port() as port:
        assert await words(port=port) == f"{HOST} port {port} did not answer within 1 s."


# --- mail -----------------------------------------------------------------------------------------------------------


class _Box:
    """Takes mail, save for a sender and a recipient that it refuses."""

    def __init__(self) -> None:
        self.got: list[bytes] = []

    async def handle_MAIL(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address.startswith("nobody@"):
            return "550 not you"
        envelope.mail_from = address
        envelope.mail_options.extend(options)
        return "250 OK"

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address.startswith("gone@"):
            return "550 not here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.got.append(envelope.content)
        return "250 OK"


def _sign_in(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    good = isinstance(data, LoginPassword) and (data.login, data.password) == (b"ranvier", SECRET.encode())
    return AuthResult(success=good, handled=good)


@contextlib.contextmanager
def a_mail_server(tls: ssl.SSLContext | None = None, *, from_the_start: bool = False) -> Iterator[tuple[_Box, int]]:
    """aiosmtpd on a free port."""
    box = _Box()
    more: dict[str, Any] = {"ssl_context": tls} if from_the_start else {"tls_context": tls, "require_starttls": tls is not None}
    controller = Controller(
        box, hostname=HOST, port=a_free_port(), authenticator=_sign_in, auth_require_tls=False, ready_timeout=30, **more
    )
    controller.start()
    try:
        yield box, controller.port
    finally:
        controller.stop()


def _mail(port: int, **more: Any) -> dict[str, Any]:
    return {
        "protocol": "email",
        "smtp_host": HOST,
        "smtp_port": port,
        "sender": "ranvier@site.example",
        "recipients": "a@site.example, b@site.example",
        **more,
    }


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
async def test_a_test_message_reaches_the_real_mail_server(tmp_path: Path, security: str) -> None:
    """NOT-01: 'Test notification'."""
    tls, authority = a_site_with_tls(tmp_path)
    with a_mail_server(None if security == "none" else tls, from_the_start=security == "tls") as (box, port):
        more = {"smtp_security": security, "authority": authority, "smtp_user": "ranvier", "smtp_password": SECRET}
        found = await found_by("notification", **_mail(port, **more))
    assert found.ok, found.lines
    how = "without encryption" if security == "none" else "over TLS"
    assert found.lines == [
        f"{HOST} answered {how}.",
        "It accepted user and password.",
        "It took the test for 2 recipients.",
    ]
    assert b"This is a test" in box.got[0]


async def test_a_mail_server_says_which_way_it_failed(tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    tls, _ = a_site_with_tls(tmp_path)

    async def last(port: int, **more: Any) -> str:
        found = await found_by("notification", **_mail(port, **more))
        assert not found.ok
        return found.lines[-1]

    plain: dict[str, Any] = {"smtp_security": "none"}
    assert await last(free_port, **plain) == f"{HOST} port {free_port} refused the connection."
    assert (
        await last(587, smtp_host="no-such-host.invalid")
        == "the name no-such-host.invalid port 587 is not known to the network."
    )
    with a_mail_server() as (_, port):
        assert (await last(port)).startswith("Choose tls if the port is one for TLS")
        assert "does not speak TLS there" in await last(port, smtp_security="tls")
        assert (
            await last(port, **plain, smtp_user="ranvier", smtp_password="wrong")
            == f"{HOST} did not accept user and password (535)."
        )
        assert await last(port, **plain, sender="nobody@site.example") == f"{HOST} refused the sender's address (550)."
        assert await last(port, **plain, recipients="gone@site.example") == f"{HOST} refused every recipient (550)."
        assert await last(port, **plain, recipients="a@b.example, gone@b.example") == "It refused 1 of the recipients."
    with a_mail_server(tls) as (_, port):
        assert "is not trusted" in await last(port)
    with quick(monkeypatch, 1):
        with a_mail_server(tls, from_the_start=True) as (_, port):
            assert await last(port, **plain)
        with a_silent_port() as port:
            assert await last(port, **plain) == f"{HOST} took longer than 1 s."
    assert await last(587, recipients="") == "These fields are empty: recipients."


async def test_without_a_protocol_there_is_nothing_to_test() -> None:
    assert (await found_by("notification")).lines == ["The delivery protocol is none: there is nothing to test."]


# --- Apprise --------------------------------------------------------------------------------------------------------


def _hook(endpoint: Endpoint, path: str = "") -> str:
    return f"json://user:{SECRET}@{HOST}:{endpoint.port}/hook{path}"


async def test_an_apprise_url_reaches_a_real_web_hook() -> None:
    """NOT-01: any Apprise URL of the allow-list."""
    with an_endpoint(200) as endpoint:
        found = await found_by("notification", protocol="apprise", url=_hook(endpoint), own_machine=True)
    assert found == Probe(ok=True, lines=[f"{HOST} took it."])
    assert b"This is a test" in endpoint.got[0]["body"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "file:///etc/passwd",
        "syslog://",
        "dbus://",
        "exec://ls",
        "windows://",
        "mailtos://a:b@c.example",
        "https://x.example",
        "x",
    ],
)
async def test_a_scheme_that_is_not_on_the_list_is_refused(url: str) -> None:
    """Faults and threats: Apprise URLs can reach any host, files and plugins: allow-list of schemes."""
    found = await found_by("notification", protocol="apprise", url=url)
    assert (found.ok, found.lines[0]) == (False, "The Apprise URL begins with a scheme that is not allowed.")


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "2130706433", "[::1]", "[::ffff:127.0.0.1]", "localhost"])
async def test_an_apprise_url_that_leads_to_this_machine_asks_nobody(host: str) -> None:
    with an_endpoint(200) as endpoint:
        found = await found_by("notification", protocol="apprise", url=f"json://{host}:{endpoint.port}/")
        assert endpoint.got == []
    assert not found.ok
    assert found.lines[0].startswith("The URL leads to")


async def test_an_apprise_url_says_which_way_it_failed(free_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    async def words(url: str) -> str:
        return (await found_by("notification", protocol="apprise", url=url, own_machine=True)).lines[0]

    with an_endpoint(401, (302, {"Location": "http://127.0.0.1:1/"})) as endpoint:
        assert await words(_hook(endpoint)) == f"{HOST} answered HTTP 401 Unauthorized; it was not taken."
        assert await words(_hook(endpoint, "?redirect=yes&verify=no")) == f"{HOST} answered HTTP 302 Found; it was not taken."
    assert await words(f"json://{HOST}:{free_port}/") == f"{HOST} port {free_port} refused the connection."
    assert await words("json://no-such-host.invalid/") == "The name of its host is not known to the network."
    with an_endpoint("reset") as endpoint:
        assert await words(_hook(endpoint)) == f"{HOST} did not take it: no answer, or its certificate is not trusted."


async def test_whatever_the_other_side_does_there_is_an_answer_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Within 15 seconds."""
    assert probes.DEADLINE_S < 15
    monkeypatch.setattr(probes, "DEADLINE_S", 0.5)
    with a_silent_port() as port:
        begun = time.monotonic()
        found = await found_by("malware", port=port, timeout_s=2)
        assert time.monotonic() - begun < 10
    assert (found.ok, found.lines) == (False, ["No answer within 0 s."])


async def test_wrong_values_are_refused_by_field() -> None:
    with pytest.raises(SettingsRefused) as refused:
        await found_by("malware", port=0, colour="red")
    assert {one.field for one in refused.value.problems} == {"scan.port", "scan.colour"}
