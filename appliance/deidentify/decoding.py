"""Text of the source as the engine reads it: by the declared character set, and as UTF-8 where the bytes are that instead."""

import warnings
from functools import lru_cache

_LONGEST = {"SH": 16, "CS": 16, "LO": 64}


@lru_cache(maxsize=4096)
def decoded(value: bytes, charset: bytes) -> str:
    """Text by the Specific Character Set (0008,0005) of its data set; never fails, at worst single characters are wrong."""
    if value.isascii() and b"\x1b" not in value:
        return value.decode("ascii")
    from pydicom.charset import decode_bytes

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return decode_bytes(value, _encodings(charset), {ord("\\"), ord("^"), ord("=")})


def readings(value: bytes, charset: bytes) -> list[str]:
    """Every way to read a value that can be meant: as declared, and as UTF-8 when it is valid."""
    found = [decoded(value, charset)]
    if not value.isascii():
        for codec in ("utf-8", "latin-1"):
            try:
                text = value.decode(codec)
            except UnicodeDecodeError:
                continue
            if text not in found:
                found.append(text)
    return found


def encoded(text: str, charset: bytes, vr: str) -> bytes:
    """Text of a changed value; characters outside the first character set are left out, values are cut to their VR's length."""
    longest = _LONGEST.get(vr)
    if longest:
        text = "\\".join(part[:longest] for part in text.split("\\"))
    codec = _encodings(charset)[0] if b"\\" not in charset else "ascii"
    result = text.encode(codec, "ignore")
    return result + b" " * (len(result) % 2)


@lru_cache(maxsize=64)
def _encodings(charset: bytes) -> list[str]:
    from pydicom.charset import convert_encodings

    names = [name.strip() for name in charset.decode("ascii", "replace").split("\\")]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return convert_encodings(names)
        except LookupError:
            return ["latin-1"]
