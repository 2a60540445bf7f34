"""The test of an identity provider: its metadata are fetched, read and compared with the section (SAML 2.0 Metadata)."""

import re
from typing import NamedTuple
from xml.etree import ElementTree

from appliance import asking, certificates
from appliance.access.section import SamlSection
from appliance.errors import Misconfigured
from appliance.probe import TEST_S, Probe

_MD = "{urn:oasis:names:tc:SAML:2.0:metadata}"
_CERTIFICATE = "{http://www.w3.org/2000/09/xmldsig#}X509Certificate"
_BINDINGS = ("urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect", "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST")
_FIELDS = {
    "idp_entity_id": "IdP entity ID",
    "idp_sso_url": "IdP SSO URL",
    "idp_slo_url": "IdP SLO URL",
    "idp_certificate": "IdP certificate",
}


class NoMetadata(Misconfigured):
    """These are no metadata of an identity provider: {why}."""

    code = "no-idp-metadata"
    next_step = "Copy the metadata URL from the identity provider's page for this application."


class Metadata(NamedTuple):
    """What an identity provider says about itself."""

    entity_id: str
    sso_url: str
    slo_url: str
    certificates: tuple[str, ...]
    """PEM, those for signatures."""


async def probe(section: SamlSection, *, now: int) -> Probe:
    """Fetches the metadata of the section's URL and compares; without a URL only the section's own certificate is checked."""
    if not section.idp_metadata_url:
        return _offline(section, now)
    try:
        answer = await asking.ask(
            "GET",
            section.idp_metadata_url,
            allow_local=section.own_machine,
            authority=section.authority,
            timeout_s=TEST_S,
            field="idp_metadata_url",
        )
        lines = [f"The metadata URL answered HTTP {answer.status}."]
        if answer.status != 200:
            return Probe(ok=False, lines=[*lines, "Metadata come with HTTP 200 and no redirect."])
        found = read(answer.body, section.idp_entity_id)
        facts = [certificates.facts_of(one, now) for one in found.certificates]
    except Misconfigured as error:
        return Probe(ok=False, lines=[error.what, error.advice])
    return _compared(section, found, facts, lines, now)


def read_given(section: SamlSection, document: str, *, now: int) -> Probe:
    """The same of metadata that somebody pasted."""
    try:
        found = read(document.encode(), section.idp_entity_id)
        facts = [certificates.facts_of(one, now) for one in found.certificates]
    except Misconfigured as error:
        return Probe(ok=False, lines=[error.what, error.advice])
    return _compared(section, found, facts, [], now)


def _compared(section: SamlSection, found: Metadata, facts: list[certificates.Facts], lines: list[str], now: int) -> Probe:
    lines.append(f"They are of {found.entity_id[:200]}, with {len(facts)} certificate{'s' if len(facts) > 1 else ''}.")
    ended = [one for one in facts if one.valid_until <= now]
    lines += [f"{one.subject[:120]}: {' '.join(one.warnings) or 'in date.'}" for one in facts]
    told = {
        "idp_entity_id": found.entity_id,
        "idp_sso_url": found.sso_url,
        "idp_slo_url": found.slo_url,
        "idp_certificate": "".join(found.certificates),
    }
    other = [name for name in _FIELDS if getattr(section, name) and not _same(getattr(section, name), told[name], found)]
    lines += [f"{_FIELDS[name]}: the metadata say something else." for name in other]
    unset = [_FIELDS[name] for name in _FIELDS if told[name] and not getattr(section, name)]
    if unset:
        lines.append(f"Not filled in yet: {', '.join(unset)}; the metadata have them.")
    return Probe(ok=not other and len(ended) < len(facts), lines=lines, values=told)


def _offline(section: SamlSection, now: int) -> Probe:
    missing = [_FIELDS[name] for name in ("idp_entity_id", "idp_sso_url", "idp_certificate") if not getattr(section, name)]
    if missing:
        return Probe(ok=False, lines=[f"Without a metadata URL these must be filled in: {', '.join(missing)}."])
    try:
        facts = certificates.facts_of(section.idp_certificate, now)
    except Misconfigured as error:
        return Probe(ok=False, lines=[error.what, error.advice])
    lines = ["There is no metadata URL; only the certificate was checked.", f"It is of {facts.subject[:120]}."]
    return Probe(ok=facts.valid_until > now, lines=[*lines, *facts.warnings])


def read(document: bytes, wanted: str = "") -> Metadata:
    """One identity provider of a metadata document: the wanted one of several; raises `NoMetadata`.

    A document type is refused before anything is parsed: entities are how XML blows up or reads files.
    """
    if b"<!DOCTYPE" in document or b"<!ENTITY" in document or b"\x00" in document:
        raise NoMetadata(field="idp_metadata_url", why="the document declares a document type")
    try:
        root = ElementTree.fromstring(document)
    except (ElementTree.ParseError, ValueError, RecursionError):
        raise NoMetadata(field="idp_metadata_url", why="it is no XML") from None
    entities = [one for one in root.iter(f"{_MD}EntityDescriptor") if one.find(f"{_MD}IDPSSODescriptor") is not None]
    named = [one for one in entities if one.get("entityID") == wanted] if wanted and len(entities) > 1 else entities
    if not named:
        raise NoMetadata(field="idp_metadata_url", why="it names no such identity provider")
    role = named[0].find(f"{_MD}IDPSSODescriptor")
    assert role is not None
    keys = [one for one in role.findall(f"{_MD}KeyDescriptor") if one.get("use") in (None, "signing")]
    found = [_pem(text.text or "") for key in keys for text in key.iter(_CERTIFICATE)]
    if not found:
        raise NoMetadata(field="idp_metadata_url", why="it has no certificate for signatures")
    sso = _location(role, "SingleSignOnService")
    if not sso:
        raise NoMetadata(field="idp_metadata_url", why="it has no sign-on service for a browser")
    return Metadata(named[0].get("entityID", ""), sso, _location(role, "SingleLogoutService"), tuple(dict.fromkeys(found)))


def _location(role: ElementTree.Element, service: str) -> str:
    by_binding = {one.get("Binding"): one.get("Location", "") for one in role.findall(f"{_MD}{service}")}
    return next((by_binding[one] for one in _BINDINGS if by_binding.get(one)), "")


def _same(ours: str, theirs: str, found: Metadata) -> bool:
    if "BEGIN CERTIFICATE" in ours:
        return bool(_split(ours)) and set(_split(ours)) <= {_bare(one) for one in found.certificates}
    return ours == theirs


def _split(pem: str) -> list[str]:
    return [_bare(one) for one in re.findall(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----", pem)]


def _bare(pem: str) -> str:
    return re.sub(r"-----[A-Z ]+-----|\s", "", pem)


def _pem(text: str) -> str:
    body = re.sub(r"\s", "", text)
    lines = [body[start : start + 64] for start in range(0, len(body), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])
