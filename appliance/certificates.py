"""Certificates (RFC 5280) for whoever listens with TLS: checked before use, read for their dates, made for the first boot.

Receiving and the front door both come here, so that a certificate that one takes is one that the other takes.
"""

import ipaddress
import itertools
import os
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from appliance.errors import Misconfigured
from appliance.moments import iso

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes, PrivateKeyTypes
    from cryptography.x509 import Certificate, CertificateBuilder, GeneralName, Name

CIPHERS: Final = ":".join(
    f"ECDHE-{kind}-{cipher}" for cipher in ("AES256-GCM-SHA384", "AES128-GCM-SHA256") for kind in ("ECDSA", "RSA")
)
"""For TLS 1.2 what RFC 9325 section 4.2 recommends; TLS 1.3 has no weak ones."""
WARN_DAYS = 30
OWN_DAYS = 397
"""How long a certificate of our own lives: browsers take none for longer."""
SIGNING_DAYS = 3650
"""How long our certificate for signed messages lives: it is exchanged by hand with the other side, and no browser sees it."""
SIGNING_BITS = 3072
_LEAST_RSA_BITS = 2048
_CURVES = ("secp256r1", "secp384r1", "secp521r1")
_MOST = 10
_WEAK_HASHES = ("md5", "sha1")


class BadCertificate(Misconfigured):
    """The TLS certificate, its key or the authority's certificate cannot be used: {cause}."""

    code = "bad-certificate"
    next_step = "Give the certificate with those between it and the authority, and the private key that belongs to it, as PEM."


class Facts(msgspec.Struct, kw_only=True, frozen=True):
    """What a certificate says about itself."""

    subject: str
    issuer: str
    names: list[str]
    valid_from: int
    valid_until: int
    """The earliest end in the chain, in milliseconds."""
    key: str
    fingerprint: str
    """SHA-256 of the certificate, as browsers show it."""
    signs_itself: bool
    warnings: list[str] = []


def examine(certificate: str, key: str, authority: str = "", *, now: int) -> Facts:
    """Checks form, key, pair, chain, purpose and dates of what a server would present; raises `BadCertificate`.

    `certificate` holds the server's own certificate first and then those between it and the authority; `authority` may hold
    the authority's. The field of the error is `certificate`, `key` or `authority`.
    """
    chain = _certificates(certificate, "certificate")
    authorities = _certificates(authority, "authority") if authority.strip() else []
    private = _private(key)
    for one in (*chain, *authorities):
        _check_dates(one, "certificate" if one in chain else "authority", now)
    if chain[0].public_key() != private.public_key():
        raise BadCertificate(field="key", cause="the private key belongs to another certificate")
    _check_strength(chain)
    _check_chain(chain, authorities)
    _check_purpose(chain[0])
    return _facts(chain, now)


def facts_of(certificate: str, now: int) -> Facts:
    """What a certificate says about itself, in whatever state it is; raises `BadCertificate` when it cannot be read."""
    return _facts(_certificates(certificate, "certificate"), now)


def days_left(certificate: str, now: int) -> int:
    """Days until the first certificate of a chain ends, below zero when it has; raises `BadCertificate`."""
    end = min(one.not_valid_after_utc for one in _certificates(certificate, "certificate"))
    return (end - _moment(now)).days


def server_context(certificate: str, key: str, authority: str = "", *, demand: bool = False) -> ssl.SSLContext:
    """TLS 1.2 or newer with strong ciphers only (BCP 195); raises `BadCertificate`.

    With `authority` a caller's certificate is checked with it, with `demand` there must be one.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.set_ciphers(CIPHERS)
    present(context, certificate, key, authority)
    if authority:
        context.verify_mode = ssl.CERT_REQUIRED if demand else ssl.CERT_OPTIONAL
    elif demand:
        raise BadCertificate(field="authority", cause="callers need certificates, and no authority is named")
    return context


def present(context: ssl.SSLContext, certificate: str, key: str, authority: str = "") -> None:
    """Lets a context show this certificate, and check others with `authority`; raises `BadCertificate`."""
    try:
        _load(context, certificate, key)
        if authority:
            context.load_verify_locations(cadata=authority)
    except (OSError, ValueError) as fault:
        cause = (getattr(fault, "reason", "") or type(fault).__name__).replace("_", " ").lower()
        raise BadCertificate(field="certificate", cause=cause) from fault


def between(certificate: str, authority: str) -> str:
    """The chain to present: the certificate, and of the authority's file those that stand between it and the root."""
    chain = _certificates(certificate, "certificate")
    more = [one for one in _certificates(authority, "authority") if one.subject != one.issuer] if authority.strip() else []
    return "".join(_pem(one) for one in (*chain, *(one for one in more if one not in chain)))


def signing_pair(file: Path, name: str, *, now: int) -> tuple[str, str]:
    """The certificate and RSA key of a file that messages are signed with (SAML), made once: others keep the certificate."""
    if not file.exists():
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
        from cryptography.x509.oid import NameOID

        private = rsa.generate_private_key(public_exponent=65537, key_size=SIGNING_BITS)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])
        made = _begun(subject, private.public_key(), SIGNING_DAYS, now).sign(private, hashes.SHA256())
        form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        _put_pair(file, private.private_bytes(*form).decode(), _pem(made))
    text = file.read_text()
    cut = text.index("-----BEGIN CERTIFICATE")
    return text[cut:], text[:cut]


def _put_pair(file: Path, key: str, certificate: str) -> None:
    draft = file.with_name(f".{file.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as written:
        written.write(key + certificate)
        written.flush()
        os.fsync(written.fileno())
    draft.replace(file)


def _begun(subject: "Name", key: "CertificatePublicKeyTypes", days: int, now: int) -> "CertificateBuilder":
    """A certificate that its own subject issues; clocks may differ by an hour."""
    from cryptography import x509

    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(_moment(now) - timedelta(hours=1))
        .not_valid_after(_moment(now) + timedelta(days=days))
    )


def make_own(names: Sequence[str], *, now: int) -> tuple[str, str]:
    """A certificate that signs itself for these host names and addresses, and its key (P-256), both as PEM."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    private = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64]), x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Ranvier")]
    )
    made = (
        _begun(subject, private.public_key(), OWN_DAYS, now)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([_general_name(one) for one in dict.fromkeys(names)]), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    return _pem(made), private.private_bytes(*form).decode()


def own_pair(file: Path, names: Sequence[str], *, now: int, addresses: Sequence[str] = ()) -> tuple[str, str]:
    """The self-signed certificate and key of a file; made when there is none, when it nears its end or lacks one of the names.

    A new one holds `addresses` too; when these change later, the certificate that people have come to trust stays. The file
    is replaced whole (mode 0600): whoever reads it meanwhile gets the old one or the new one.
    """
    if file.exists():
        text = file.read_text()
        cut = text.index("-----BEGIN CERTIFICATE")
        pair = text[cut:], text[:cut]
        if days_left(pair[0], now) >= WARN_DAYS and set(names) <= set(facts_of(pair[0], now).names):
            return pair
    certificate, key = make_own([*names, *addresses], now=now)
    _put_pair(file, key, certificate)
    return certificate, key


def _general_name(name: str) -> "GeneralName":
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    # The library reads certificates from files only; this one is memory that no folder shows.
    handle = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        content = f"{key.strip()}\n{certificate.strip()}\n".encode()
        while content:
            content = content[os.write(handle, content) :]
        context.load_cert_chain(f"/proc/self/fd/{handle}", password=_no_password)
    finally:
        os.close(handle)


def _no_password() -> str:
    raise ValueError("the private key has a password")


def _certificates(text: str, field: str) -> "list[Certificate]":
    from cryptography import x509

    if not text.strip():
        raise BadCertificate(field=field, cause="there is none")
    if "PRIVATE KEY-----" in text:
        raise BadCertificate(field=field, cause="a private key stands where a certificate belongs")
    try:
        found = x509.load_pem_x509_certificates(text.encode())
        _ = [(one.extensions, one.not_valid_after_utc) for one in found]
    except ValueError:
        raise BadCertificate(field=field, cause="it is no certificate in PEM form") from None
    if len(found) > _MOST:
        raise BadCertificate(field=field, cause=f"it holds more than {_MOST} certificates")
    return found


def _private(text: str) -> "PrivateKeyTypes":
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if "PRIVATE KEY-----" not in text:
        raise BadCertificate(field="key", cause="it is no private key in PEM form")
    try:
        return load_pem_private_key(text.encode(), password=None)
    except TypeError:
        raise BadCertificate(field="key", cause="the private key has a password; give it without one") from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadCertificate(field="key", cause="it is no private key in PEM form") from None


def _check_dates(one: "Certificate", field: str, now: int) -> None:
    if one.not_valid_after_utc <= _moment(now):
        raise BadCertificate(field=field, cause=f"it expired on {_day(one.not_valid_after_utc)}")
    if one.not_valid_before_utc > _moment(now):
        raise BadCertificate(field=field, cause=f"it is valid from {_day(one.not_valid_before_utc)} on only")


def _check_strength(chain: "list[Certificate]") -> None:
    for place, one in enumerate(chain):
        named = "its" if not place else f"the key of certificate {place + 1} of the chain:"
        weakness = _weakness(one)
        if weakness:
            raise BadCertificate(field="certificate", cause=f"{named} {weakness}")
        digest = one.signature_hash_algorithm
        if digest is not None and digest.name in _WEAK_HASHES and one.subject != one.issuer:
            raise BadCertificate(field="certificate", cause=f"it is signed with {digest.name.upper()}, which can be forged")


def _weakness(one: "Certificate") -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    key = one.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA key has {key.key_size} bits, at least 2048 are needed" if key.key_size < _LEAST_RSA_BITS else ""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "" if key.curve.name in _CURVES else f"curve {key.curve.name} is not one of P-256, P-384, P-521"
    return "" if isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey) else "key is of a kind that TLS cannot use"


def _check_chain(chain: "list[Certificate]", authorities: "list[Certificate]") -> None:
    for place, (one, above) in enumerate(itertools.pairwise(chain), start=2):
        if not _issued(one, above):
            raise BadCertificate(
                field="certificate",
                cause=f"certificate {place} of the chain did not issue the one before it; check their order",
            )
    for one in authorities:
        if not _may_issue(one):
            raise BadCertificate(field="authority", cause="one of its certificates is not an authority's")
    if authorities and chain[-1] not in authorities and not any(_issued(chain[-1], one) for one in authorities):
        raise BadCertificate(field="authority", cause="it did not issue the certificate")


def _issued(one: "Certificate", by: "Certificate") -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        one.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _may_issue(one: "Certificate") -> bool:
    from cryptography import x509

    try:
        return one.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _check_purpose(one: "Certificate") -> None:
    from cryptography import x509
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        uses = list(one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    except x509.ExtensionNotFound:
        return
    if ExtendedKeyUsageOID.SERVER_AUTH not in uses and ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE not in uses:
        raise BadCertificate(field="certificate", cause="it was not issued for servers (extended key usage)")


def _facts(chain: "list[Certificate]", now: int) -> Facts:
    from cryptography.hazmat.primitives import hashes

    own = chain[0]
    end = min(one.not_valid_after_utc for one in chain)
    names = _names(own)
    left = (end - _moment(now)).days
    warnings = [] if names else ["It names no host (subject alternative name): browsers refuse it."]
    if left < WARN_DAYS:
        warnings.append("It has expired." if left < 0 else f"It expires in {left} days.")
    return Facts(
        subject=own.subject.rfc4514_string(),
        issuer=own.issuer.rfc4514_string(),
        names=names,
        valid_from=int(own.not_valid_before_utc.timestamp() * 1000),
        valid_until=int(end.timestamp() * 1000),
        key=_key_words(own),
        fingerprint=own.fingerprint(hashes.SHA256()).hex(":").upper(),
        signs_itself=own.subject == own.issuer,
        warnings=warnings,
    )


def _names(one: "Certificate") -> list[str]:
    from cryptography import x509

    try:
        found = one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*found.get_values_for_type(x509.DNSName), *(str(ip) for ip in found.get_values_for_type(x509.IPAddress))]


def _key_words(one: "Certificate") -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, rsa

    key = one.public_key()
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    return (
        f"EC {key.curve.name}" if isinstance(key, ec.EllipticCurvePublicKey) else type(key).__name__.removesuffix("PublicKey")
    )


def _pem(one: "Certificate") -> str:
    from cryptography.hazmat.primitives.serialization import Encoding

    return one.public_bytes(Encoding.PEM).decode()


def _moment(now: int) -> datetime:
    return datetime.fromtimestamp(now / 1000, UTC)


def _day(moment: datetime) -> str:
    return iso(int(moment.timestamp() * 1000))[:10]
