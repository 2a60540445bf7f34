"""An authority of our own, the certificates it issues, and certificates with one planted fault each."""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
NAMES = ("ranvier.test", "localhost", "127.0.0.1")


@dataclass(frozen=True)
class Pair:
    """A certificate with its key."""

    made: x509.Certificate
    private: CertificateIssuerPrivateKeyTypes

    @property
    def certificate(self) -> str:
        """PEM."""
        return self.made.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def key(self) -> str:
        """PEM, PKCS #8."""
        return self.key_with(serialization.NoEncryption())

    def key_with(self, how: serialization.KeySerializationEncryption) -> str:
        """PEM, PKCS #8, perhaps under a password."""
        return self.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, how).decode()


def make(
    name: str = "ranvier.test",
    *,
    by: Pair | None = None,
    names: Sequence[str] = NAMES,
    authority: bool = False,
    first_day: float = -1,
    last_day: float = 100,
    private: CertificateIssuerPrivateKeyTypes | None = None,
    client_only: bool = False,
) -> Pair:
    """A certificate that signs itself, or that `by` issued."""
    key = private or ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.now(datetime.UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by.made.subject if by else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + first_day * DAY)
        .not_valid_after(now + last_day * DAY)
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
    )
    if names and not authority:
        builder = builder.add_extension(x509.SubjectAlternativeName([_named(one) for one in names]), critical=False)
    if client_only:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    return Pair(builder.sign(by.private if by else key, hashes.SHA256()), key)


def rsa_key(bits: int) -> rsa.RSAPrivateKey:
    """An RSA key of so many bits."""
    return rsa.generate_private_key(65537, bits)


def _named(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
