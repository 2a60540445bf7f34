"""TLS towards other hosts: the authorities that a host is checked with, and our own certificate where it asks for one."""

import ssl
from functools import lru_cache

from appliance import asking, certificates
from appliance.fields import Secret


def context(authority: str, certificate: str = "", key: Secret | None = None) -> ssl.SSLContext:
    """TLS 1.2 or newer; raises `AuthorityUnusable` or `BadCertificate`.

    Contexts are kept: reading the system's authorities takes longer than a delivery on a local network. New system authorities
    count from the next start of the process on.
    """
    return _made(authority, certificate, key or Secret())


@lru_cache(maxsize=32)
def _made(authority: str, certificate: str, key: Secret) -> ssl.SSLContext:
    found = asking.trust(authority)
    if certificate.strip() or key:
        certificates.present(found, certificate, key.reveal())
    return found
