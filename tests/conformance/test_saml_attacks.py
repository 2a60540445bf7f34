"""Real responses of two real identity providers, SimpleSAMLphp and pysaml2, changed as attackers change them.

Faults and threats, SAML; UI-07. A genuine response stays valid for some minutes, and checking one changes nothing: each is made
once and every attack begins from it.
"""

import base64
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec
import pytest
from lxml import etree

from appliance import certificates
from appliance.access import saml, saml_answer
from appliance.access.saml_answer import Proven, check
from appliance.access.saml_errors import SamlRefused
from appliance.access.saml_setup import FORMATS, Provider
from appliance.access.section import SamlSection
from appliance.moments import now_ms
from tests.identity import IdentityProvider, a_simplesamlphp, rsa_pair
from tests.servers import program
from tests.wrapping import DS, EVIL, SAML, VARIANTS, wrapped

BASE = "https://ranvier.test:3001"
HOUR_MS = 3_600_000
IDP2 = "https://idp2.example"


@dataclass(frozen=True)
class Genuine:
    """A response as the identity provider made it, for this provider and this request."""

    provider: Provider
    document: bytes
    request: str

    def check(self, document: bytes | None = None, *, request: str = "", now: int = 0, **section: Any) -> Proven:
        """What it proves, perhaps changed, at another time or to somebody else."""
        changed = msgspec.structs.replace(self.provider.section, **section)
        somebody = Provider(changed, self.provider.certificate, self.provider.key)
        return check(somebody, self.document if document is None else document, request or self.request, now=now or now_ms())

    def refused(self, document: bytes | None = None, **more: Any) -> str:
        """The cause by which it is refused."""
        with pytest.raises(SamlRefused) as caught:
            self.check(document, **more)
        assert EVIL not in caught.value.what
        return caught.value.cause

    def replaced(self, old: str, new: str) -> bytes:
        """The document with one text in place of another that is there."""
        assert old.encode() in self.document
        return self.document.replace(old.encode(), new.encode())

    @property
    def text(self) -> str:
        """As text."""
        return self.document.decode()


@dataclass(frozen=True)
class World:
    """SimpleSAMLphp and who we are to it."""

    idp: IdentityProvider
    certificate: str
    key: str

    def provider(self, entity: str = "ranvier", **more: Any) -> Provider:
        """The service provider under one of its names."""
        plain = {**self.idp.settings, "enabled": True, "mode": "both", "sp_base_url": BASE, "sp_entity_id": entity, **more}
        return Provider(msgspec.convert(plain, SamlSection), self.certificate, self.key)

    def response(self, entity: str, **more: Any) -> Genuine:
        """Somebody signs in."""
        provider = self.provider(entity, **more)
        url, request = saml._request(provider)
        posted = self.idp.sign_in(url, "anna")
        assert posted.url == f"{BASE}/api/saml/acs"
        return Genuine(provider, posted.document, request)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """One SimpleSAMLphp for all tests; it signs differently for each of our names."""
    folder = tmp_path_factory.mktemp("idp")
    certificate, key = certificates.signing_pair(folder / "saml.pem", "ranvier", now=now_ms())
    services: dict[str, dict[str, object]] = {
        "ranvier": {},
        "assertion-only": {"saml20.sign.response": False},
        "response-only": {"saml20.sign.assertion": False},
        "sha1": {"signature.algorithm": "http://www.w3.org/2000/09/xmldsig#rsa-sha1"},
        "encrypted": {
            "assertion.encryption": True,
            "keys": [
                {"type": "X509Certificate", "signing": True, "encryption": True, "X509Certificate": _bare(certificate)},
            ],
        },
    }
    with a_simplesamlphp(folder / "php", BASE, certificate, services) as idp:
        yield World(idp, certificate, key)


def _bare(pem: str) -> str:
    return re.sub(r"-----[A-Z ]+-----|\s", "", pem)


def of_pysaml2(world: World, folder: Path) -> Genuine:
    """A response of the other identity provider, made from our metadata and our signed request."""
    from saml2 import BINDING_HTTP_POST, BINDING_HTTP_REDIRECT
    from saml2.config import IdPConfig
    from saml2.saml import NameID
    from saml2.server import Server

    pair = rsa_pair("idp2")
    (folder / "idp.crt").write_text(pair.certificate)
    (folder / "idp.key").write_text(pair.key)
    provider = world.provider(
        idp_entity_id=IDP2, idp_sso_url=f"{IDP2}/sso", idp_slo_url=f"{IDP2}/slo", idp_certificate=pair.certificate
    )
    configuration = IdPConfig().load(
        {
            "entityid": IDP2,
            "xmlsec_binary": program("xmlsec1", "xmlsec1"),
            "key_file": str(folder / "idp.key"),
            "cert_file": str(folder / "idp.crt"),
            "metadata": {"inline": [provider.metadata()]},
            "service": {
                "idp": {
                    "endpoints": {"single_sign_on_service": [(f"{IDP2}/sso", BINDING_HTTP_REDIRECT)]},
                    "want_authn_requests_signed": True,
                    "policy": {"default": {"lifetime": {"minutes": 5}, "fail_on_missing_requested": False}},
                }
            },
        }
    )
    server = Server(config=configuration)
    url, request = saml._request(provider)
    sent = {name: values[0] for name, values in parse_qs(urlsplit(url).query).items()}
    asked = server.parse_authn_request(
        sent["SAMLRequest"],
        BINDING_HTTP_REDIRECT,
        relay_state=sent.get("RelayState"),
        sigalg=sent["SigAlg"],
        signature=sent["Signature"],
    )
    made = server.create_authn_response(
        {"mail": ["anna@hospital.example"], "groups": ["radiology"]},
        userid="anna",
        name_id=NameID(format=FORMATS["email"], text="anna@hospital.example"),
        authn={"class_ref": "urn:oasis:names:tc:SAML:2.0:ac:classes:Password", "authn_auth": IDP2},
        sign_response=True,
        sign_assertion=True,
        sign_alg="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        digest_alg="http://www.w3.org/2001/04/xmlenc#sha256",
        **server.response_args(asked.message, bindings=[BINDING_HTTP_POST]),
    )
    return Genuine(provider, str(made).encode(), request)


@pytest.fixture(scope="module")
def both(world: World) -> Genuine:
    """Response and assertion signed."""
    return world.response("ranvier")


@pytest.fixture(scope="module")
def assertion_only(world: World) -> Genuine:
    """Only the assertion is signed."""
    return world.response("assertion-only")


@pytest.fixture(scope="module")
def response_only(world: World) -> Genuine:
    """Only the response is signed; the settings allow it."""
    return world.response("response-only", require_signed_assertions=False)


@pytest.fixture(scope="module")
def pysaml2(world: World, tmp_path_factory: pytest.TempPathFactory) -> Genuine:
    """The other identity provider's."""
    return of_pysaml2(world, tmp_path_factory.mktemp("pysaml2"))


@pytest.fixture(params=["both", "assertion_only", "response_only", "pysaml2"])
def genuine(request: pytest.FixtureRequest) -> Genuine:
    """Each of them."""
    found: Genuine = request.getfixturevalue(request.param)
    return found


def test_a_genuine_response_is_believed(genuine: Genuine) -> None:
    """UI-07: both identity providers take our signed request and our metadata, and we take what they answer."""
    proven = genuine.check()
    assert (proven.name, proven.format) == ("anna@hospital.example", FORMATS["email"])
    assert proven.attributes["groups"][0] == "radiology"
    assert saml_answer.request_of(genuine.document) == genuine.request


@pytest.mark.parametrize("variant", VARIANTS)
def test_signature_wrapping_is_refused(genuine: Genuine, variant: int, response_only: Genuine, assertion_only: Genuine) -> None:
    """XSW 1 to 8."""
    needed, other = ("Response", assertion_only) if variant < 3 else ("Assertion", response_only)
    base = genuine if genuine is not other else response_only if needed == "Response" else assertion_only
    document = wrapped(base.document, variant)
    assert EVIL.encode() in document
    assert b"anna@hospital.example" in document
    assert base.refused(document) == "wrapped"


def test_a_changed_word_breaks_the_signature(genuine: Genuine) -> None:
    assert genuine.refused(genuine.replaced("anna@hospital.example", EVIL)) == "signature"
    assert genuine.refused(genuine.replaced("radiology", "ranvier-all")) == "signature"


def test_random_changes_are_refused_or_change_nothing(genuine: Genuine) -> None:
    """Whatever byte is changed, nothing else is ever proven."""
    truth, chance, refused = genuine.check(), random.Random(9), 0
    for _ in range(60):
        changed = bytearray(genuine.document)
        changed[chance.randrange(len(changed))] = chance.choice(b'aZ09 <>"=/&;:')
        try:
            assert genuine.check(bytes(changed)) == truth
        except SamlRefused:
            refused += 1
    assert refused > 30


def test_without_signature_nothing_is_believed(genuine: Genuine) -> None:
    root = etree.fromstring(genuine.document)
    for signature in list(root.iter(f"{DS}Signature")):
        signature.getparent().remove(signature)
    assert genuine.refused(etree.tostring(root)) == "unsigned"


def test_with_signed_assertions_off_the_response_must_be_signed(assertion_only: Genuine, response_only: Genuine) -> None:
    """UI-07: unsigned is never accepted."""
    assert assertion_only.refused(require_signed_assertions=False) == "unsigned"
    assert response_only.refused(require_signed_assertions=True) == "unsigned"


def test_a_signature_of_somebody_else_is_refused_whatever_certificate_it_brings(genuine: Genuine) -> None:
    """The certificate inside the message proves nothing: only that of the settings does."""
    from onelogin.saml2.utils import OneLogin_Saml2_Utils as Toolkit

    attacker = rsa_pair("idp")
    root = etree.fromstring(genuine.document)
    for signature in list(root.iter(f"{DS}Signature")):
        signature.getparent().remove(signature)
    for name in root.iter(f"{SAML}NameID"):
        name.text = EVIL
    target = root if not genuine.provider.section.require_signed_assertions else root.find(f"{SAML}Assertion")
    signed = Toolkit.add_sign(
        etree.tostring(target),
        attacker.key,
        attacker.certificate,
        sign_algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
        digest_algorithm="http://www.w3.org/2001/04/xmlenc#sha256",
    )
    document = signed
    if target is not root:
        root.replace(target, etree.fromstring(signed))
        document = etree.tostring(root)
    assert genuine.refused(document) == "signature"
    assert genuine.check(document, idp_certificate=attacker.certificate).name == EVIL
    assert genuine.refused(idp_certificate=attacker.certificate) == "signature"


def test_while_certificates_change_both_are_good(genuine: Genuine) -> None:
    """Metadata with several keys."""
    several = rsa_pair("next").certificate + genuine.provider.section.idp_certificate
    assert genuine.check(idp_certificate=several).name == "anna@hospital.example"


def test_sha1_is_refused_even_when_the_identity_provider_signs_with_it(world: World) -> None:
    made = world.response("sha1")
    assert b"xmldsig#rsa-sha1" in made.document
    assert made.refused() == "algorithm"


def test_an_encrypted_assertion_is_refused(world: World) -> None:
    assert world.response("encrypted").refused() == "encrypted"


@pytest.mark.parametrize(
    "comment",
    ["anna@hospital.example<!-- -->.attacker.example", "anna<!--x-->@hospital.example", "anna<?x y?>@hospital.example"],
)
def test_comments_and_instructions_are_refused(genuine: Genuine, comment: str) -> None:
    """Canonical XML drops comments, so the signature holds: a reader who stops at one reads another name."""
    assert genuine.refused(genuine.replaced("anna@hospital.example", comment)) == "comment"
    assert genuine.refused(genuine.document + b"<!-- behind -->") == "comment"


LAUGHS = "".join(f'<!ENTITY l{n + 1} "{10 * f"&l{n};"}">' for n in range(9))
ENTITIES = {
    "file": '<!DOCTYPE r [<!ENTITY x SYSTEM "file:///etc/passwd">]>',
    "network": '<!DOCTYPE r SYSTEM "http://127.0.0.1:1/evil.dtd">',
    "parameter": '<!DOCTYPE r [<!ENTITY % x SYSTEM "file:///etc/passwd"> %x;]>',
    "laughs": f'<!DOCTYPE r [<!ENTITY l0 "ha">{LAUGHS}]>',
    "empty": "<!DOCTYPE r>",
}


@pytest.mark.parametrize("kind", ENTITIES)
def test_document_types_and_entities_are_refused(genuine: Genuine, kind: str) -> None:
    """XXE and entity bombs."""
    body = re.sub(r"^<\?xml[^>]*\?>\s*", "", genuine.text)
    named = body.replace("anna@hospital.example", "&x;" if kind != "laughs" else "&l9;")
    for document in (ENTITIES[kind] + named, ENTITIES[kind] + body):
        assert genuine.refused(document.encode()) == "document-type"
        assert genuine.refused(document.encode("utf-16")) == "document-type"
        with pytest.raises(SamlRefused):
            saml_answer.request_of(document.encode())


@pytest.mark.parametrize("encoding", ["utf-7", "utf-16", "utf-32", "cp037"])
def test_other_encodings_hide_nothing(genuine: Genuine, encoding: str) -> None:
    body = re.sub(r"^<\?xml[^>]*\?>\s*", "", genuine.text)
    document = f'<?xml version="1.0" encoding="{encoding}"?>{body}'.encode(encoding)
    assert genuine.refused(document) in ("document-type", "no-xml", "comment")


@pytest.mark.parametrize("rubbish", [b"", b"<", b"\xff\xfe", b"{}", b"<a/>", b"<a>" * 5000, b"x" * 600_000])
def test_rubbish_is_refused(both: Genuine, rubbish: bytes) -> None:
    assert both.refused(rubbish) in ("no-xml", "no-response", "too-large", "document-type")
    with pytest.raises(SamlRefused):
        saml_answer.decoded("%%%")


TRANSFORMS = (
    '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xslt-19991116"/>',
    '<ds:Transform Algorithm="http://www.w3.org/TR/1999/REC-xpath-19991116"/>',
    '<ds:Transform Algorithm="http://www.w3.org/2000/09/xmldsig#base64"/>',
)


@pytest.mark.parametrize("transform", TRANSFORMS)
def test_foreign_transforms_are_refused(both: Genuine, transform: str) -> None:
    assert both.refused(both.replaced("</ds:Transforms>", f"{transform}</ds:Transforms>")) == "transform"


def test_a_digest_or_signature_of_a_shared_secret_is_refused(both: Genuine) -> None:
    rsa = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"
    assert both.refused(both.replaced(rsa, "http://www.w3.org/2000/09/xmldsig#hmac-sha1")) == "algorithm"
    assert both.refused(both.replaced(rsa, "http://www.w3.org/2001/04/xmldsig-more#hmac-sha256")) == "algorithm"
    digest = "http://www.w3.org/2001/04/xmlenc#sha256"
    assert both.refused(both.replaced(digest, "http://www.w3.org/2000/09/xmldsig#sha1")) == "algorithm"


def test_two_assertions_are_refused(genuine: Genuine) -> None:
    root = etree.fromstring(genuine.document)
    root.append(etree.fromstring(etree.tostring(root.find(f"{SAML}Assertion"))))
    assert genuine.refused(etree.tostring(root)) == "wrapped"


def test_what_is_meant_for_others_is_refused(genuine: Genuine, assertion_only: Genuine) -> None:
    """Wrong audience, recipient, destination, issuer, InResponseTo: truly signed, but not for us."""
    assert genuine.refused(sp_entity_id="another-service") == "audience"
    assert genuine.refused(sp_base_url="https://other.example") == "destination"
    assert genuine.refused(idp_entity_id="https://another-idp.example") == "issuer"
    assert genuine.refused(request="ONELOGIN_another") == "request"
    undirected = re.sub(rb' Destination="[^"]*"', b"", assertion_only.document, count=1)
    assert assertion_only.check(undirected).name == "anna@hospital.example"
    assert assertion_only.refused(undirected, sp_base_url="https://other.example") == "recipient"
    directed = assertion_only.document.replace(assertion_only.request.encode(), b"ONELOGIN_other", 1)
    assert assertion_only.refused(directed, request="ONELOGIN_other") == "request"


def test_what_is_over_or_not_yet_valid_is_refused(genuine: Genuine) -> None:
    assert genuine.refused(now=now_ms() + HOUR_MS) == "expired"
    assert genuine.refused(now=now_ms() - HOUR_MS) == "early"
    assert genuine.check(now=now_ms() + 6 * 60_000).name == "anna@hospital.example", "clocks may differ a little"


def test_what_nobody_asked_for_is_refused(world: World) -> None:
    """IdP-initiated: a real one of SimpleSAMLphp."""
    url = f"{world.idp.url}saml2/idp/SSOService.php?spentityid=ranvier"
    posted = world.idp.sign_in(url, "anna")
    with pytest.raises(SamlRefused) as caught:
        saml_answer.request_of(posted.document)
    assert caught.value.cause == "unsolicited"


def test_a_refusal_of_the_identity_provider_is_said(both: Genuine) -> None:
    changed = both.replaced("status:Success", "status:Responder")
    assert both.refused(changed) == "status"


def test_whitespace_in_base64_is_read() -> None:
    assert saml_answer.decoded("\n".join(base64.b64encode(b"<a/>").decode())) == b"<a/>"
