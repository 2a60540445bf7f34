"""From the identity provider's answer to what it proves: shape, signature, and every condition that SAML sets on it.

One parser reads the document, for us and for the toolkit that checks the signature, and only the signed element is used
(SAML 2.0 Core sections 2.4 and 2.5, Profiles section 4.1.4.3).
"""

import base64
import binascii
from datetime import UTC, datetime

import msgspec

from appliance.access import saml_shape
from appliance.access.saml_errors import SamlRefused
from appliance.access.saml_setup import Provider
from appliance.access.saml_shape import PROTOCOL, SAML, Element

SKEW_MS = 180_000
"""So much may the clocks of both sides differ."""
MOST_BASE64 = saml_shape.MOST_BYTES * 4 // 3 + 4
_SUCCESS = "urn:oasis:names:tc:SAML:2.0:status:Success"
_BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"


class Proven(msgspec.Struct, frozen=True, kw_only=True):
    """What a signed assertion says of somebody."""

    assertion: str
    """Its identifier, good for one use."""
    until: int
    """When it has expired by every clock that may differ, in milliseconds."""
    name: str
    format: str
    session_index: str
    attributes: dict[str, list[str]]


def decoded(text: str) -> bytes:
    """The document of a form's field; raises `SamlRefused`."""
    if len(text) > MOST_BASE64:
        raise SamlRefused("too-large", "it is larger than any that makes sense")
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise SamlRefused("no-xml", "it is no base64") from None


def request_of(document: bytes) -> str:
    """Which request an answer says it answers; nothing of it is believed yet. Raises `SamlRefused`."""
    root = saml_shape.parse(document)
    saml_shape.require_response(root)
    asked = str(root.get("InResponseTo") or "")
    if not asked:
        raise SamlRefused("unsolicited", "nobody asked for it: signing in begins here, not at the identity provider")
    return asked


def check(provider: Provider, document: bytes, request: str, *, now: int) -> Proven:
    """What an answer to our request proves; raises `SamlRefused`. Blocks for the time of a signature check."""
    root = saml_shape.parse(document)
    _require_success(root)
    assertion = saml_shape.require_response(root)
    wanted = assertion if provider.section.require_signed_assertions else root
    if not saml_shape.signed(wanted):
        raise SamlRefused("unsigned", f"its {'assertion' if wanted is assertion else 'response'} is not signed")
    _verify(provider, document, root, assertion)
    _require_addressed(provider, root, assertion, request)
    until = _require_time(assertion, now)
    name = assertion.find(f"{SAML}Subject/{SAML}NameID")
    if name is None or not (name.text or "").strip():
        raise SamlRefused("no-name", "it names nobody")
    statement = assertion.find(f"{SAML}AuthnStatement")
    if statement is None:
        raise SamlRefused("no-statement", "it does not say that somebody signed in")
    return Proven(
        assertion=str(assertion.get("ID")),
        until=until,
        name=str(name.text).strip(),
        format=str(name.get("Format") or ""),
        session_index=str(statement.get("SessionIndex") or ""),
        attributes=_attributes(assertion),
    )


def _require_success(root: Element) -> None:
    code = root.find(f"{PROTOCOL}Status/{PROTOCOL}StatusCode")
    if root.tag == f"{PROTOCOL}Response" and (code is None or code.get("Value") != _SUCCESS):
        raise SamlRefused("status", "the identity provider says that signing in did not succeed")


def _verify(provider: Provider, document: bytes, root: Element, assertion: Element) -> None:
    """Every signature that is there must be good and by a certificate of the settings, whatever certificate it brings along."""
    from onelogin.saml2.utils import OneLogin_Saml2_Utils as Toolkit

    places = ((root, Toolkit.RESPONSE_SIGNATURE_XPATH), (assertion, Toolkit.ASSERTION_SIGNATURE_XPATH))
    for element, xpath in places:
        if saml_shape.signed(element) and not Toolkit.validate_sign(
            document, multicerts=provider.idp_certificates, xpath=xpath, raise_exceptions=False
        ):
            raise SamlRefused("signature", "its signature is not the identity provider's, or it was changed on its way")


def _require_addressed(provider: Provider, root: Element, assertion: Element, request: str) -> None:
    issuers = [one.text for one in (*root.findall(f"{SAML}Issuer"), *assertion.findall(f"{SAML}Issuer"))]
    if assertion.find(f"{SAML}Issuer") is None or set(issuers) != {provider.section.idp_entity_id}:
        raise SamlRefused("issuer", "another identity provider made it")
    destination = root.get("Destination")
    if destination != provider.acs and (destination is not None or saml_shape.signed(root)):
        raise SamlRefused("destination", "it was sent to another address")
    if root.get("InResponseTo") != request:
        raise SamlRefused("request", "it answers another request")
    audiences = assertion.findall(f"{SAML}Conditions/{SAML}AudienceRestriction")
    allowed = [{(one.text or "").strip() for one in group.findall(f"{SAML}Audience")} for group in audiences]
    if not allowed or any(provider.section.sp_entity_id not in group for group in allowed):
        raise SamlRefused("audience", "it is meant for another service")
    confirmations = [
        data
        for one in assertion.findall(f"{SAML}Subject/{SAML}SubjectConfirmation")
        if one.get("Method") == _BEARER and (data := one.find(f"{SAML}SubjectConfirmationData")) is not None
    ]
    if not confirmations or any(one.get("Recipient") != provider.acs for one in confirmations):
        raise SamlRefused("recipient", "it is meant for another address")
    if any(one.get("InResponseTo") != request for one in confirmations):
        raise SamlRefused("request", "it answers another request")


def _require_time(assertion: Element, now: int) -> int:
    """Raises `SamlRefused` outside of every time that the assertion sets; gives when all of them are over."""
    conditions = assertion.findall(f"{SAML}Conditions")
    confirmed = assertion.findall(f"{SAML}Subject/{SAML}SubjectConfirmation/{SAML}SubjectConfirmationData")
    statements = assertion.findall(f"{SAML}AuthnStatement")
    begins = [moment_of(one.get("NotBefore")) for one in (*conditions, *confirmed) if one.get("NotBefore")]
    ends = [moment_of(one.get("NotOnOrAfter")) for one in (*conditions, *confirmed) if one.get("NotOnOrAfter")]
    session_ends = [moment_of(one.get("SessionNotOnOrAfter")) for one in statements if one.get("SessionNotOnOrAfter")]
    if not conditions or not all(one.get("NotOnOrAfter") for one in confirmed):
        raise SamlRefused("conditions", "it does not say until when it holds")
    if any(one > now + SKEW_MS for one in begins):
        raise SamlRefused("early", "it is not valid yet; do the clocks of both sides agree?")
    if any(one + SKEW_MS <= now for one in (*ends, *session_ends)):
        raise SamlRefused("expired", "it has expired; do the clocks of both sides agree?")
    return max(ends) + 2 * SKEW_MS


def moment_of(text: str) -> int:
    """A SAML time (xs:dateTime) in milliseconds; raises `SamlRefused`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise SamlRefused("conditions", "a time in it cannot be read") from None
    return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def _attributes(assertion: Element) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in assertion.findall(f"{SAML}AttributeStatement/{SAML}Attribute"):
        values = [str(value.text).strip() for value in one.findall(f"{SAML}AttributeValue") if value.text and not len(value)]
        found.setdefault(str(one.get("Name")), []).extend(values)
    return found
