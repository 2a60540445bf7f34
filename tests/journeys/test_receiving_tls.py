"""DICOM over TLS as other people's programs meet it (PS3.15 Annex B.12, BCP 195)."""

import os
import ssl
import subprocess
import xml.etree.ElementTree as Xml
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from appliance.certificates import CIPHERS
from tests.certificates import Pair, make
from tests.phantoms import PhantomStudy
from tests.receiving import Receiver, Section, kept, opened, until_async
from tests.senders import CALLED, Sent, digest
from tests.servers import HOST, program, until
from tests.wire import Caller, contexts_of

AUTHORITY = make("authority.test", authority=True)
OWN = make("ranvier.test", by=AUTHORITY)
DEVICE = make("CT1", by=AUTHORITY)


def secured(pair: Pair = OWN, *, mutual: bool = False) -> Section:
    return Section(
        tls=True,
        tls_certificate=pair.certificate,
        tls_key=pair.key,
        tls_authority=AUTHORITY.certificate if mutual else "",
        tls_mutual=mutual,
    )


def a_client(folder: Path, own: Pair | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cadata=AUTHORITY.certificate)
    context.check_hostname = False
    if own:
        (folder / "own.pem").write_text(own.key + own.certificate)
        context.load_cert_chain(folder / "own.pem")
    return context


def storescu(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Debian's storescu."""
    environment = os.environ | {"TCP_NODELAY": "1"}
    return subprocess.run(
        [program("storescu", "dcmtk"), *arguments], capture_output=True, text=True, timeout=60, env=environment
    )


def presented(port: int) -> str:
    """The certificate that a new caller meets, as PEM."""
    try:
        return ssl.get_server_certificate((HOST, port), timeout=10)
    except OSError:
        return ""


@pytest.fixture(scope="module")
def receiver(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Receiver]:
    with Receiver(tmp_path_factory.mktemp("tls"), secured()) as one:
        yield one


def test_sslscan_finds_nothing_weak_at_the_dicom_port(receiver: Receiver) -> None:
    """REC-03"""
    command = [program("sslscan", "sslscan"), "--xml=-", "--no-colour", f"{HOST}:{receiver.port}"]
    found = Xml.fromstring(subprocess.run(command, check=True, capture_output=True, timeout=120).stdout)
    spoken = {f"{one.get('type')} {one.get('version')}" for one in found.iter("protocol") if one.get("enabled") == "1"}
    assert spoken == {"tls 1.2", "tls 1.3"}
    ciphers = {(one.get("sslversion"), one.get("cipher")) for one in found.iter("cipher")}
    assert ciphers and {name for version, name in ciphers if version == "TLSv1.2"} <= set(CIPHERS.split(":"))
    assert all(int(one.get("bits", "0")) >= 128 for one in found.iter("cipher"))
    assert min(int(one.get("bits", "0")) for one in found.iter("group")) >= 112, "RFC 9325 section 4.3"
    assert {one.get("supported") for one in found.iter("compression")} <= {"0"}
    assert {one.get("supported") for one in found.iter("renegotiation")} <= {"0"}
    assert {one.get("vulnerable") for one in found.iter("heartbleed")} <= {"0"}


@pytest.mark.parametrize("profile", ["--profile-bcp195-nd", "--profile-bcp195-ex"])
async def test_dcmtk_sends_over_tls_and_all_is_kept(
    receiver: Receiver, phantom: PhantomStudy, profile: str, tmp_path: Path
) -> None:
    """REC-03: DCMTK's non-downgrading and extended profiles of BCP 195."""
    authority = tmp_path / "authority.pem"
    authority.write_text(AUTHORITY.certificate)
    files = phantom.files[:3] if profile.endswith("nd") else phantom.files[3:6]
    options = ["+tla", profile, "+cf", str(authority), "-R", "-aec", CALLED]
    done = storescu(*options, HOST, str(receiver.port), *map(str, files))
    assert done.returncode == 0, done.stderr
    wanted = {digest(Sent.of(file).data) for file in files}
    async with opened(receiver.home) as house:

        async def all_kept() -> bool:
            return wanted <= set(await kept(house))

        await until_async(all_kept, "all is kept")


def test_a_plain_sender_is_refused_while_tls_is_on(receiver: Receiver, phantom: PhantomStudy) -> None:
    """REC-03"""
    assert storescu("-R", "-aec", CALLED, "-ta", "5", HOST, str(receiver.port), str(phantom.files[0])).returncode != 0


def test_certificates_are_rotated_while_an_association_goes_on(
    receiver: Receiver, phantom: PhantomStudy, tmp_path: Path
) -> None:
    """REC-03: the association in progress loses nothing, the next caller meets the new certificate."""
    sent = [Sent.of(file) for file in phantom.files[6:10]]
    after = make("ranvier.test", by=AUTHORITY)
    with Caller(receiver.port, contexts_of(sent), tls=a_client(tmp_path)) as caller:
        assert caller.store(sent[0]) == 0
        receiver.configure(secured(after))
        until(lambda: presented(receiver.port) == after.certificate, "the new certificate is presented", 20)
        assert [caller.store(one) for one in sent[1:]] == [0, 0, 0]
    receiver.configure(msgspec.structs.replace(secured(), tls_key="no key"))
    with Caller(receiver.port, contexts_of(sent), tls=a_client(tmp_path)) as caller:
        assert caller.store(sent[0]) == 0
    assert presented(receiver.port) == after.certificate


def test_who_shows_no_certificate_is_refused_where_one_is_demanded(tmp_path: Path, phantom: PhantomStudy) -> None:
    """REC-03: mutual TLS."""
    sent = [Sent.of(phantom.files[0])]
    with Receiver(tmp_path / "home", secured(mutual=True)) as receiver:
        with pytest.raises((OSError, EOFError)):
            Caller(receiver.port, contexts_of(sent), tls=a_client(tmp_path))
        stranger = make("CT1", by=make("somebody.test", authority=True))
        with pytest.raises((OSError, EOFError)):
            Caller(receiver.port, contexts_of(sent), tls=a_client(tmp_path, stranger))
        with Caller(receiver.port, contexts_of(sent), tls=a_client(tmp_path, DEVICE)) as caller:
            assert caller.store(sent[0]) == 0
