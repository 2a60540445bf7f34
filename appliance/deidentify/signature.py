"""Signs passports with the appliance's own key (Ed25519, RFC 8032), so that anybody with its public key can check them."""

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from appliance.deidentify.passport import Passport


def signed(passport: Passport, seed: bytes) -> Passport:
    """The passport with public key and signature; `seed` is 32 bytes."""
    key = Ed25519PrivateKey.from_private_bytes(seed)
    named = msgspec.structs.replace(passport, public_key=key.public_key().public_bytes_raw().hex(), signature="")
    return msgspec.structs.replace(named, signature=key.sign(_content(named)).hex())


def public_key(seed: bytes) -> str:
    """The public key of a seed, hexadecimal."""
    return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw().hex()


def is_genuine(passport: Passport, key: str) -> bool:
    """Whether the passport was signed with the private part of `key` and not changed since."""
    try:
        signature, public = bytes.fromhex(passport.signature), Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))
        public.verify(signature, _content(msgspec.structs.replace(passport, signature="")))
    except (ValueError, InvalidSignature):
        return False
    return passport.public_key == key


def _content(passport: Passport) -> bytes:
    return msgspec.json.encode(passport, order="deterministic")
