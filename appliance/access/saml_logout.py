"""Signing out at the identity provider and because of it (single logout, SAML 2.0 Profiles section 4.4; HTTP-Redirect binding).

Every message that comes is signed over its address' query (Bindings section 3.4.4.1); an unsigned one is nobody's.
"""

import base64
import binascii
import re
import zlib
from urllib.parse import parse_qs, unquote, urlencode
from xml.sax.saxutils import escape

import msgspec

from appliance.access import saml, saml_shape
from appliance.access.saml import Subject
from appliance.access.saml_answer import SKEW_MS, moment_of
from appliance.access.saml_errors import SamlRefused
from appliance.access.saml_setup import Provider
from appliance.access.saml_shape import PROTOCOL, SAML, Element
from appliance.keys import Keys
from appliance.records import single_use, users

LOGOUT_MS = 600_000
_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_.\-]{0,255}")
_RSA = frozenset(one for one in saml_shape.SIGNATURES if "#rsa-" in one)


class Heard(msgspec.Struct, frozen=True, kw_only=True):
    """What a message did: where its sender's browser goes next (empty: nowhere), and how many sessions ended."""

    url: str = ""
    ended: int = 0


async def leave(provider: Provider, session: str, *, now: int) -> str:
    """Where to send a browser so that the identity provider signs its owner out too; empty when that is not set up."""
    about = await users.subject_of(session)
    if not about or not provider.section.idp_slo_url:
        return ""
    from onelogin.saml2.auth import OneLogin_Saml2_Auth

    subject = msgspec.json.decode(about, type=Subject)
    toolkit = OneLogin_Saml2_Auth(provider.request_data(), old_settings=provider.toolkit())
    url = toolkit.logout(
        return_to=saml.STATE,
        name_id=subject.name,
        name_id_format=subject.format or None,
        session_index=escape(subject.index) or None,
    )
    await single_use.put("saml-logout", str(toolkit.get_last_request_id()), now + LOGOUT_MS)
    return str(url)


async def hear(keys: Keys, provider: Provider, query: str, *, now: int) -> Heard:
    """Takes a message of the identity provider about signing out; raises `SamlRefused`."""
    kind = "SAMLResponse" if "SAMLResponse" in parse_qs(query) else "SAMLRequest"
    root = saml_shape.parse(_inflated(_verified(provider, query, kind)))
    if root.findtext(f"{SAML}Issuer") != provider.section.idp_entity_id:
        raise SamlRefused("issuer", "another identity provider made it")
    if root.get("Destination") != provider.sls:
        raise SamlRefused("destination", "it was sent to another address")
    if kind == "SAMLResponse":
        asked = str(root.get("InResponseTo") or "")[:64]
        if root.tag != f"{PROTOCOL}LogoutResponse" or await single_use.take("saml-logout", asked, now) is None:
            raise SamlRefused("request", "it answers no request that is open")
        return Heard()
    return await _sign_out(keys, provider, root, parse_qs(query).get("RelayState", [""])[0], now)


async def _sign_out(keys: Keys, provider: Provider, root: Element, state: str, now: int) -> Heard:
    number = str(root.get("ID") or "")
    issued = moment_of(str(root.get("IssueInstant") or ""))
    until = root.get("NotOnOrAfter")
    if root.tag != f"{PROTOCOL}LogoutRequest" or not _ID.fullmatch(number):
        raise SamlRefused("no-response", "it is no request to sign out")
    if abs(now - issued) > SKEW_MS + LOGOUT_MS or (until and moment_of(until) + SKEW_MS <= now):
        raise SamlRefused("expired", "it has expired; do the clocks of both sides agree?")
    once = keys.digest("saml-logout-heard", f"{provider.section.idp_entity_id}\n{number}")
    if not await single_use.put("saml-assertion", once, now + 2 * (SKEW_MS + LOGOUT_MS)):
        raise SamlRefused("replayed", "it was used before")
    name = (root.findtext(f"{SAML}NameID") or "").strip()
    indexes = [(one.text or "").strip() for one in root.findall(f"{PROTOCOL}SessionIndex")] or [""]
    ended = sum([await users.revoke_subject(saml.subject_key(keys, name), index) for index in indexes])
    return Heard(url=_answer(provider, number, state), ended=ended)


def _answer(provider: Provider, number: str, state: str) -> str:
    if not provider.section.idp_slo_url:
        return ""
    from onelogin.saml2.auth import OneLogin_Saml2_Auth
    from onelogin.saml2.logout_response import OneLogin_Saml2_Logout_Response

    toolkit = OneLogin_Saml2_Auth(provider.request_data(), old_settings=provider.toolkit())
    made = OneLogin_Saml2_Logout_Response(toolkit.get_settings())
    made.build(number)
    sent = {"SAMLResponse": made.get_response(), **({"RelayState": state[:1024]} if state else {})}
    toolkit.add_response_signature(sent, toolkit.get_settings().get_security_data()["signatureAlgorithm"])
    joint = "&" if "?" in provider.section.idp_slo_url else "?"
    return f"{provider.section.idp_slo_url}{joint}{urlencode(sent)}"


def _verified(provider: Provider, query: str, kind: str) -> str:
    """The message of a query whose signature is good, as it was sent; raises `SamlRefused`."""
    from onelogin.saml2.utils import OneLogin_Saml2_Utils as Toolkit

    parts = [one.partition("=")[::2] for one in query.split("&")]
    named = {name: value for name, value in parts if name in (kind, "RelayState", "SigAlg", "Signature")}
    if len(named) < len([name for name, _ in parts if name in named]):
        raise SamlRefused("wrapped", "a part of it stands twice")
    if not {kind, "SigAlg", "Signature"} <= named.keys():
        raise SamlRefused("unsigned", "it is not signed")
    algorithm = unquote(named["SigAlg"])
    if algorithm not in _RSA:
        raise SamlRefused("algorithm", "its signature uses an algorithm that is too weak, such as SHA-1")
    signed = "&".join(f"{name}={named[name]}" for name in (kind, "RelayState", "SigAlg") if name in named)
    try:
        signature = base64.b64decode(unquote(named["Signature"]), validate=True)
    except (binascii.Error, ValueError):
        raise SamlRefused("signature", "its signature cannot be read") from None
    if not any(Toolkit.validate_binary_sign(signed, signature, one, algorithm) for one in provider.idp_certificates):
        raise SamlRefused("signature", "its signature is not the identity provider's, or it was changed on its way")
    return unquote(named[kind])


def _inflated(text: str) -> bytes:
    try:
        stream = zlib.decompressobj(-zlib.MAX_WBITS)
        found = stream.decompress(base64.b64decode(text, validate=True), saml_shape.MOST_BYTES + 1)
    except (binascii.Error, ValueError, zlib.error):
        raise SamlRefused("no-xml", "it is no deflated XML") from None
    return found
