"""This appliance as a service provider: its addresses, its signing certificate, its metadata, and the toolkit's settings."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from appliance import certificates
from appliance.access.saml_errors import PlainHttp, SingleSignOnOff
from appliance.access.section import SamlSection
from appliance.addresses import is_loopback

FORMATS = {
    "email": "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress",
    "persistent": "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent",
    "transient": "urn:oasis:names:tc:SAML:2.0:nameid-format:transient",
    "unspecified": "urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified",
}
_REDIRECT = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect"
_POST = "urn:oasis:names:tc:SAML:2.0:bindings:HTTP-POST"
_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----")
NEEDED = ("idp_entity_id", "idp_sso_url", "idp_certificate", "sp_entity_id", "sp_base_url")


def in_force(section: SamlSection) -> bool:
    """Whether people may sign in through the identity provider."""
    return section.enabled and section.mode != "local" and all(getattr(section, name) for name in NEEDED)


def passwords_allowed(section: SamlSection, *, here: bool) -> bool:
    """Whether a local password opens a session; `here`: for somebody at the console of the machine itself."""
    return not (section.enabled and section.mode == "saml") or (section.break_glass and here)


def is_local(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    return host.lower() == "localhost" or is_loopback(host.strip("[]"))


@dataclass(frozen=True, slots=True)
class Provider:
    """The service provider as one version of the settings makes it."""

    section: SamlSection
    certificate: str
    key: str

    def __repr__(self) -> str:
        return f"Provider({self.section.sp_entity_id})"

    @property
    def base(self) -> str:
        """The address that people reach us by, without a final slash."""
        return self.section.sp_base_url.rstrip("/")

    @property
    def acs(self) -> str:
        """Where the identity provider's answers are posted (assertion consumer service)."""
        return f"{self.base}/api/saml/acs"

    @property
    def sls(self) -> str:
        """Where its words about signing out arrive (single logout service)."""
        return f"{self.base}/api/saml/sls"

    @property
    def idp_certificates(self) -> list[str]:
        """What its signatures are checked with, each as PEM."""
        return _CERTIFICATE.findall(self.section.idp_certificate)

    def require(self, *, secure: bool, address: str) -> None:
        """Raises `SingleSignOnOff` and, but for this machine itself, `PlainHttp`."""
        if not in_force(self.section):
            raise SingleSignOnOff()
        if not secure and not is_local(address):
            raise PlainHttp()

    def toolkit(self) -> dict[str, Any]:
        """The settings of the SAML toolkit: everything signed, nothing deprecated."""
        section = self.section
        return {
            "strict": True,
            "debug": False,
            "sp": {
                "entityId": section.sp_entity_id,
                "assertionConsumerService": {"url": self.acs, "binding": _POST},
                "singleLogoutService": {"url": self.sls, "binding": _REDIRECT},
                "NameIDFormat": FORMATS[section.name_id_format],
                "x509cert": self.certificate,
                "privateKey": self.key,
            },
            "idp": {
                "entityId": section.idp_entity_id,
                "singleSignOnService": {"url": section.idp_sso_url, "binding": _REDIRECT},
                "singleLogoutService": {"url": section.idp_slo_url, "binding": _REDIRECT},
                "x509certMulti": {"signing": self.idp_certificates},
            },
            "security": {
                "authnRequestsSigned": True,
                "logoutRequestSigned": True,
                "logoutResponseSigned": True,
                "wantAssertionsSigned": section.require_signed_assertions,
                "wantMessagesSigned": not section.require_signed_assertions,
                "wantAttributeStatement": False,
                "rejectDeprecatedAlgorithm": True,
                "requestedAuthnContext": False,
                "allowRepeatAttributeName": True,
                "allowSingleLabelDomains": True,
                "signatureAlgorithm": "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256",
                "digestAlgorithm": "http://www.w3.org/2001/04/xmlenc#sha256",
                "metadataValidUntil": "",
                "metadataCacheDuration": "",
            },
        }

    def request_data(self) -> dict[str, Any]:
        """The request as the toolkit wants it: our configured address, never what a caller says ours is."""
        parts = urlsplit(self.acs)
        return {
            "https": "on" if parts.scheme == "https" else "off",
            "http_host": parts.netloc,
            "script_name": parts.path,
            "get_data": {},
            "post_data": {},
        }

    def metadata(self) -> str:
        """Our metadata, for the identity provider; raises `SingleSignOnOff` before we know our own address."""
        from onelogin.saml2.settings import OneLogin_Saml2_Settings

        if not self.base or not self.section.sp_entity_id:
            raise SingleSignOnOff()
        found = OneLogin_Saml2_Settings({**self.toolkit(), "idp": {}}, sp_validation_only=True).get_sp_metadata()
        return found.decode() if isinstance(found, bytes) else str(found)


def provider(section: SamlSection, folder: Path, *, now: int) -> Provider:
    """The service provider with its signing certificate, which is made once and kept in `folder` (mode 0600)."""
    certificate, key = certificates.signing_pair(folder / "saml.pem", section.sp_entity_id or "ranvier", now=now)
    return Provider(section, certificate, key)
