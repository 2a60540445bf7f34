"""DICOM over TLS (PS3.15 Annex B.12, BCP 195): one context a set of certificates, made anew when the settings change.

An association keeps the context it began with, so that a new certificate ends none.
"""

import ssl

from appliance import certificates
from appliance.certificates import BadCertificate
from appliance.receive.section import ReceiveSection


def context_of(section: ReceiveSection) -> ssl.SSLContext | None:
    """The context that callers meet; None without TLS. Raises `BadCertificate`."""
    if not section.tls:
        return None
    key = section.tls_key.reveal() if section.tls_key else ""
    try:
        return certificates.server_context(section.tls_certificate, key, section.tls_authority, demand=section.tls_mutual)
    except BadCertificate as fault:
        raise BadCertificate(field=f"receive.tls_{fault.field}", cause=fault.facts["cause"]) from fault


def days_left(section: ReceiveSection, now: int) -> int | None:
    """Days until the first certificate of the chain expires, below zero when it has; None without TLS or certificate."""
    if not section.tls or not section.tls_certificate:
        return None
    return certificates.days_left(section.tls_certificate, now)
