"""DICOM over TLS (PS3.15 Annex B.12, BCP 195): one context a set of certificates, made anew when the settings change.

An association keeps the context it began with, so that a new certificate ends none.
"""

import ssl
import tempfile
from datetime import UTC, datetime
from typing import Final

from appliance.errors import Misconfigured
from appliance.receive.section import ReceiveSection

CIPHERS: Final = ":".join(
    f"ECDHE-{kind}-{cipher}" for cipher in ("AES256-GCM-SHA384", "AES128-GCM-SHA256") for kind in ("ECDSA", "RSA")
)
"""For TLS 1.2 what RFC 9325 section 4.2 recommends; TLS 1.3 has no weak ones."""
WARN_DAYS = 30


class BadCertificate(Misconfigured):
    """The TLS certificate, its key or the authority's certificate cannot be used: {cause}."""

    code = "bad-certificate"
    next_step = "Give the certificate chain and the private key that belong together, as PEM, in the settings of receiving."


def context_of(section: ReceiveSection) -> ssl.SSLContext | None:
    """The context that callers meet; None without TLS. Raises `BadCertificate`."""
    if not section.tls:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(CIPHERS)
    try:
        # The library reads certificates from files only; this one is in memory, or private and gone at once.
        with tempfile.NamedTemporaryFile("w", suffix=".pem") as file:
            file.write(
                (section.tls_key.reveal() if section.tls_key else "").strip() + "\n" + section.tls_certificate.strip() + "\n"
            )
            file.flush()
            context.load_cert_chain(file.name, password=_no_password)
        if section.tls_authority:
            context.load_verify_locations(cadata=section.tls_authority)
    except (OSError, ValueError) as fault:
        cause = (getattr(fault, "reason", "") or type(fault).__name__).replace("_", " ").lower()
        raise BadCertificate(field="receive.tls_certificate", cause=cause) from fault
    if section.tls_authority:
        context.verify_mode = ssl.CERT_REQUIRED if section.tls_mutual else ssl.CERT_OPTIONAL
    elif section.tls_mutual:
        raise BadCertificate(field="receive.tls_authority", cause="callers need certificates, and no authority is named")
    return context


def _no_password() -> str:
    raise ValueError("the private key has a password")


def days_left(section: ReceiveSection, now_ms: int) -> int | None:
    """Days until the first certificate of the chain expires, below zero when it has; None without TLS or certificate."""
    if not section.tls or not section.tls_certificate:
        return None
    from cryptography import x509

    found = x509.load_pem_x509_certificates(section.tls_certificate.encode())
    end = min(one.not_valid_after_utc for one in found)
    return (end - datetime.fromtimestamp(now_ms / 1000, UTC)).days
