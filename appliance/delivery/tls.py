"""TLS towards destinations: the authorities that a host is checked with, and our own certificate where it asks for one."""

import ssl

from appliance import asking, certificates
from appliance.fields import Secret


def context(authority: str, certificate: str = "", key: Secret | None = None) -> ssl.SSLContext:
    """TLS 1.2 or newer; raises `AuthorityUnusable` or `BadCertificate`."""
    found = asking.trust(authority)
    secret = key.reveal() if key else ""
    if certificate.strip() or secret.strip():
        certificates.present(found, certificate, secret)
    return found
