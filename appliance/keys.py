"""One root key in a file outside the database; every other key is derived from it by purpose.

Loss of the file makes identities, secrets and the linking table unreadable for ever: a backup holds the key wrapped by a
passphrase (`wrap`), and only so.
"""

import hmac
import os
import secrets
from pathlib import Path

from cryptography.exceptions import InvalidSignature, InvalidTag, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey, generate_private_key
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_public_key

from appliance.errors import Misconfigured, Rejected

KEY_BYTES = 32
NONCE_BYTES = 12
RSA_BITS = 2048
_WRAP_MAGIC = b"RVKEY1"


class RootKeyMissing(Misconfigured):
    """The root key file is missing although the database holds data sealed with it."""

    code = "root-key-missing"
    next_step = "Restore keys/root.key from a backup; without it identities and secrets stay unreadable."


class SealBroken(Misconfigured):
    """A sealed value cannot be opened with this appliance's root key."""

    code = "seal-broken"
    next_step = "The root key was replaced or the row was damaged; restore both from the same backup."


class Keys:
    """Derives keys by purpose, seals bytes and makes keyed digests."""

    def __init__(self, root: bytes) -> None:
        if len(root) != KEY_BYTES:
            raise RootKeyMissing(field="keys/root.key")
        self._root = root
        self._derived: dict[str, bytes] = {}

    def derive(self, purpose: str) -> bytes:
        """32 bytes for one purpose (HKDF-SHA256, RFC 5869); purposes cannot be computed from each other."""
        if purpose not in self._derived:
            hkdf = HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=b"ranvier/" + purpose.encode())
            self._derived[purpose] = hkdf.derive(self._root)
        return self._derived[purpose]

    def digest(self, purpose: str, text: str) -> str:
        """A keyed digest of text (HMAC-SHA256) as 32 hexadecimal digits: equal texts match, nothing can be read back."""
        return hmac.digest(self.derive(purpose), text.encode(), "sha256").hex()[:32]

    def seal(self, purpose: str, plain: bytes, context: str) -> bytes:
        """AES-256-GCM of `plain`, bound to `context` (the row's identifier), nonce first."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + AESGCM(self.derive(purpose)).encrypt(nonce, plain, context.encode())

    def open(self, purpose: str, sealed: bytes, context: str) -> bytes:
        """The opposite of `seal`; raises `SealBroken` when key, context or bytes do not fit."""
        try:
            return AESGCM(self.derive(purpose)).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], context.encode())
        except InvalidTag:
            raise SealBroken(field=purpose) from None

    @classmethod
    def of_passphrase(cls, passphrase: str, salt: bytes) -> "Keys":
        """Keys that a passphrase and a salt give again on another machine (scrypt, RFC 7914)."""
        return cls(_stretch(passphrase, salt))

    def wrap(self, passphrase: str) -> bytes:
        """The root key under a passphrase (scrypt, then AES-256-GCM), for a backup."""
        salt = secrets.token_bytes(16)
        return _WRAP_MAGIC + salt + Keys(_stretch(passphrase, salt)).seal("wrap", self._root, "root")

    @classmethod
    def unwrap(cls, wrapped: bytes, passphrase: str) -> "Keys":
        """The keys of a backup; raises `SealBroken` for a wrong passphrase."""
        body = wrapped[len(_WRAP_MAGIC) :]
        return cls(Keys(_stretch(passphrase, body[:16])).open("wrap", body[16:], "root"))


def signed_by(public_key: bytes, content: bytes, signature: bytes) -> bool:
    """Whether the owner of an Ed25519 public key (32 bytes, RFC 8032) signed this content."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, content)
    except (InvalidSignature, ValueError):
        return False
    return True


def sign(seed: bytes, content: bytes) -> bytes:
    """The Ed25519 signature (RFC 8032) of content by the private key of a 32-byte seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(content)


def public_key(seed: bytes) -> bytes:
    """The public key (32 bytes) of a seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()


def _stretch(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=KEY_BYTES, n=2**15, r=8, p=1).derive(passphrase.encode())


def load_keys(path: Path, *, create: bool = False) -> Keys:
    """Reads the root key; with `create` makes it once (mode 0600, synced with its folder)."""
    if not path.exists():
        if not create:
            raise RootKeyMissing(field=str(path.name))
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write_once(path, secrets.token_bytes(KEY_BYTES))
    return Keys(path.read_bytes())


def _write_once(path: Path, value: bytes) -> None:
    # Two processes may start together: the link fails for the second, which then reads the first one's key.
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        os.write(handle, value)
        os.fsync(handle)
    finally:
        os.close(handle)
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class BadPublicKey(Misconfigured):
    """The other side's public key is no RSA key of 2048 bits or more."""

    code = "bad-public-key"
    next_step = "Check that the address is the right one; nothing was sent under that key."


def encrypt_for(public_pem: str, plain: bytes) -> bytes:
    """Bytes that only the owner of an RSA key can read (OAEP with SHA-256, RFC 8017); raises `BadPublicKey`."""
    try:
        key = load_pem_public_key(public_pem.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise BadPublicKey() from None
    if not isinstance(key, RSAPublicKey) or key.key_size < RSA_BITS:
        raise BadPublicKey()
    return key.encrypt(plain, OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=None))


class Unsealable(Rejected):
    """This was not encrypted for this appliance's public key."""

    code = "not-for-this-key"
    next_step = "Fetch the public key again, and encrypt with that one."


class KeyPair:
    """An RSA key that others encrypt session keys for; it lives as long as its process."""

    def __init__(self) -> None:
        self._private = generate_private_key(public_exponent=65537, key_size=RSA_BITS)
        encoded = self._private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.public_pem = encoded.decode()

    def opened(self, sealed: bytes) -> bytes:
        """The opposite of `encrypt_for`; raises `Unsealable`."""
        try:
            return self._private.decrypt(sealed, OAEP(mgf=MGF1(SHA256()), algorithm=SHA256(), label=None))
        except ValueError:
            raise Unsealable() from None


def counter_mode(key: bytes, initial: bytes, data: bytes) -> bytes:
    """AES-CTR (NIST SP 800-38A section 6.5), both ways; `initial` is the whole first counter block of 16 bytes."""
    # Without any proof of who wrote it: for a protocol that others settled, below TLS, and for nothing else.
    cipher = Cipher(AES(key), CTR(initial)).encryptor()
    return cipher.update(data) + cipher.finalize()
