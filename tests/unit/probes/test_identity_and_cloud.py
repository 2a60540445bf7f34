"""The tests of an identity provider and of the cloud's sign-in, over real HTTP."""

import base64
import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from appliance.access.identity_provider import NoMetadata, read
from tests.certificates import Pair, make
from tests.unit.probes.test_probes import SECRET, a_silent_port, a_site_with_tls, found_by, quick

Answer = tuple[int, bytes]


@contextlib.contextmanager
def a_site(answer: Callable[[Any, bytes], Answer], tls: ssl.SSLContext | None = None) -> Iterator[str]:
    """An HTTP server that answers by a function of the request and its body."""

    class Handler(BaseHTTPRequestHandler):
        def serve(self) -> None:
            status, body = answer(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                self.wfile.write(body)

        do_GET = do_POST = serve

        def log_message(self, *_: object) -> None:
            """Stays silent."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.handle_error = lambda *_: None  # type: ignore[method-assign]
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def metadata(*pairs: Pair, entity: str = "https://idp.example/id", inside: str = "") -> bytes:
    """Metadata of an identity provider as Entra ID and ADFS write them."""
    keys = "".join(
        '<KeyDescriptor use="signing"><KeyInfo xmlns="http://www.w3.org/2000/09/xmldsig#"><X509Data><X509Certificate>'
        + "".join(one.certificate.split("\n")[1:-2])
        + "</X509Certificate></X509Data></KeyInfo></KeyDescriptor>"
        for one in pairs
    )
    redirect = 'Binding="urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"'
    return (
        f'<EntityDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata" entityID="{entity}">{inside}'
        f'<IDPSSODescriptor protocolSupportEnumeration="urn:oasis:names:tc:SAML:2.0:protocol">{keys}'
        f'<SingleLogoutService {redirect} Location="https://idp.example/slo"/>'
        f'<SingleSignOnService {redirect} Location="https://idp.example/sso"/></IDPSSODescriptor></EntityDescriptor>'
    ).encode()


# --- SAML -----------------------------------------------------------------------------------------------------------


async def test_metadata_are_fetched_compared_and_offered_to_the_form() -> None:
    """UI-07: IdP metadata fetch."""
    pair = make("idp")
    with a_site(lambda request, body: (200, metadata(pair))) as url:
        found = await found_by("saml", idp_metadata_url=f"{url}/metadata", own_machine=True)
        assert found.ok, found.lines
        assert found.values["idp_entity_id"] == "https://idp.example/id"
        assert (found.values["idp_sso_url"], found.values["idp_slo_url"]) == (
            "https://idp.example/sso",
            "https://idp.example/slo",
        )
        assert (
            "Not filled in yet: IdP entity ID, IdP SSO URL, IdP SLO URL, IdP certificate; the metadata have them."
            in found.lines
        )
        again = await found_by("saml", idp_metadata_url=f"{url}/metadata", own_machine=True, **found.values)
        assert again.ok
        assert not [line for line in again.lines if "Not filled in" in line]
        other = await found_by(
            "saml",
            idp_metadata_url=f"{url}/m",
            own_machine=True,
            **{**found.values, "idp_entity_id": "https://evil.example", "idp_certificate": make("other").certificate},
        )
    assert not other.ok
    assert other.lines[-2:] == [
        "IdP entity ID: the metadata say something else.",
        "IdP certificate: the metadata say something else.",
    ]


async def test_a_provider_that_cannot_be_used_says_which_way(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, (tls, _) = make("old", first_day=-20, last_day=-1), a_site_with_tls(tmp_path)

    async def words(url: str, **more: Any) -> list[str]:
        found = await found_by("saml", idp_metadata_url=url, **{"own_machine": True, **more})
        assert not found.ok
        return found.lines

    assert (await words(f"http://127.0.0.1:{free_port}/"))[0] == "There was no answer: 127.0.0.1 refused the connection."
    assert (await words("http://no-such-host.invalid/"))[
        0
    ] == "There was no answer: the name no-such-host.invalid is not known to the network."
    assert (await words("http://169.254.169.254/latest", own_machine=False))[0].startswith("The URL leads to")
    with a_site(lambda request, body: (404, b"")) as url:
        assert (await words(url))[0] == "The metadata URL answered HTTP 404."
    with a_site(lambda request, body: (200, b"<html/>")) as url:
        assert "it names no such identity provider" in (await words(url))[0]
    with a_site(lambda request, body: (200, metadata(old))) as url:
        assert any("It has expired." in line for line in await words(url))
    with a_site(lambda request, body: (200, b"x" * 3_000_000)) as url:
        assert "longer than any" in (await words(url))[0]
    with a_site(lambda request, body: (200, metadata(old)), tls) as url:
        assert "is not trusted" in (await words(url))[0]
    with quick(monkeypatch, 1), a_silent_port() as port:
        assert (await words(f"http://127.0.0.1:{port}/"))[0] == "There was no answer: 127.0.0.1 took longer than 1 s."


async def test_without_a_url_only_the_certificate_is_checked() -> None:
    pair = make("idp")
    typed = {"idp_entity_id": "x", "idp_sso_url": "https://idp.example/sso"}
    assert (await found_by("saml", **typed, idp_certificate=pair.certificate)).ok
    assert not (await found_by("saml", **typed, idp_certificate="-----BEGIN CERTIFICATE-----")).ok
    assert "must be filled in: IdP entity ID" in (await found_by("saml")).lines[0]


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>', "document type"),
        (b"\xff\xfe<\x00!\x00", "document type"),
        (b"<x", "no XML"),
        (b"<x>" * 20000, "no XML"),
        (metadata(), "no certificate"),
        (metadata(make("a")).replace(b"SingleSignOn", b"SingleOther"), "no sign-on service"),
    ],
    ids=["entities", "utf-16", "broken", "deep", "no key", "no address"],
)
def test_hostile_or_poor_metadata_are_refused(document: bytes, why: str) -> None:
    """Faults and threats, SAML: XXE, billion laughs."""
    with pytest.raises(NoMetadata, match=why):
        read(document)


def test_of_several_providers_the_named_one_is_taken() -> None:
    several = b'<EntitiesDescriptor xmlns="urn:oasis:names:tc:SAML:2.0:metadata">' + metadata(make("a"), entity="A")
    several += metadata(make("b"), make("c"), entity="B") + b"</EntitiesDescriptor>"
    assert (read(several, "B").entity_id, len(read(several, "B").certificates)) == ("B", 2)


# --- cloud ----------------------------------------------------------------------------------------------------------


async def test_a_token_of_the_rest_protocol_is_checked_field_by_field() -> None:
    """CLD-02, CLD-06: credentials are verified at once; what answers differently is said field by field."""
    expected = "Basic " + base64.b64encode(f"svc:{SECRET}".encode()).decode()
    told: dict[str, Any] = {"access_token": SECRET, "token_type": "Bearer", "expires_in": 3600}

    def answer(request: Any, body: bytes) -> Answer:
        assert request.path == "/prod/auth/token"
        return (200, json.dumps(told).encode()) if request.headers["Authorization"] == expected else (401, b"{}")

    with a_site(answer) as url:
        values: dict[str, Any] = {"api_url": f"{url}/prod", "service_user": "svc", "own_machine": True}
        good = await found_by("cloud", **values, service_password=SECRET)
        assert (good.ok, good.lines) == (
            True,
            [
                "GET /auth/token answered HTTP 200.",
                "access_token: there.",
                "token_type: Bearer.",
                "expires_in: 3600 s.",
                "The sign-in works.",
            ],
        )
        bad = await found_by("cloud", **values, service_password="wrong")
        assert bad.lines[-1] == "The cloud does not accept service user and password."
        told.update(token_type=None, expires_in="1h")
        odd = await found_by("cloud", **values, service_password=SECRET)
        assert odd.lines[2:4] == ["token_type: missing; expected Bearer.", "expires_in: a str; expected a number of seconds."]


async def test_a_session_of_the_sdk_protocol_is_made_with_a_key_that_only_the_cloud_can_read() -> None:
    """CLD-01: RSA-OAEP with SHA-256 for both hashes, AES-128 key inside, API key in its header."""
    private = rsa.generate_private_key(65537, 2048)
    public = private.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    oaep = padding.OAEP(padding.MGF1(hashes.SHA256()), hashes.SHA256(), None)
    keys: list[bytes] = []

    def answer(request: Any, body: bytes) -> Answer:
        if request.path == "/api/getPubKey":
            return 200, json.dumps({"pub_key": public.decode()}).encode()
        if request.headers["X-Api-Key"] != SECRET:
            return 401, b'{"error": "API key not found."}'
        keys.append(base64.b64decode(json.loads(private.decrypt(base64.b64decode(body), oaep))["aes_key"]))
        return 200, b'{"connectionId": "0b9f3b1e-7c53-4e52-9d3b-0b8c5f8f2a11"}'

    with a_site(answer) as url:
        values: dict[str, Any] = {"protocol": "sdk", "api_url": url, "own_machine": True}
        good = await found_by("cloud", **values, api_key=SECRET)
        bad = await found_by("cloud", **values, api_key="wrong")
        odd = await found_by("cloud", **values, api_key="a\nb")
    assert good.ok, good.lines
    assert [len(one) for one in keys] == [16]
    assert bad.lines[-1] == "The cloud does not accept the API key."
    assert odd.lines[0].startswith("The API key has characters")


async def test_a_cloud_that_cannot_be_reached_says_which_way(
    tmp_path: Path, free_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def words(url: str, **more: Any) -> str:
        values = {"api_url": url, "service_user": "svc", "service_password": SECRET, "own_machine": True, **more}
        found = await found_by("cloud", **values)
        assert not found.ok
        return found.lines[0 if "answer" not in found.lines[0] or "There was" in found.lines[0] else -1]

    assert await words(f"http://127.0.0.1:{free_port}") == "There was no answer: 127.0.0.1 refused the connection."
    assert "leads to" in await words("http://127.0.0.1:1", own_machine=False)
    assert await words("") == "These fields are empty: api_url."
    for status, body in ((200, b"<html>"), (302, b""), (500, b"{}")):
        with a_site(lambda request, sent, status=status, body=body: (status, body)) as url:  # type: ignore[misc]
            assert await words(url) == "This is not the answer of the cloud's API; check the API URL."
    with a_site(lambda request, sent: (200, b'{"pub_key": "nonsense"}')) as url:
        assert "no RSA key" in await words(url, protocol="sdk", api_key="k")
    with a_site(lambda request, sent: (200, b"{}"), a_site_with_tls(tmp_path)[0]) as url:
        assert "is not trusted" in await words(url)
    with quick(monkeypatch, 2), a_silent_port() as port:
        assert await words(f"http://127.0.0.1:{port}") == "There was no answer: 127.0.0.1 took longer than 1 s."
