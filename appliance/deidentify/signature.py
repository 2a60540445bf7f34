"""Signs passports with the appliance's own key (Ed25519, RFC 8032), so that anybody with its public key can check them."""

import msgspec

from appliance import keys
from appliance.deidentify.passport import Passport


def signed(passport: Passport, seed: bytes) -> Passport:
    """The passport with public key and signature; `seed` is 32 bytes."""
    named = msgspec.structs.replace(passport, public_key=public_key(seed), signature="")
    return msgspec.structs.replace(named, signature=keys.sign(seed, _content(named)).hex())


def public_key(seed: bytes) -> str:
    """The public key of a seed, hexadecimal."""
    return keys.public_key(seed).hex()


def is_genuine(passport: Passport, key: str) -> bool:
    """Whether the passport was signed with the private part of `key` and not changed since."""
    try:
        signature, public = bytes.fromhex(passport.signature), bytes.fromhex(key)
    except ValueError:
        return False
    content = _content(msgspec.structs.replace(passport, signature=""))
    return passport.public_key == key and keys.signed_by(public, content, signature)


def _content(passport: Passport) -> bytes:
    return msgspec.json.encode(passport, order="deterministic")
