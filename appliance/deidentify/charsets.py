"""The verifier's own decoder of DICOM text (PS3.3, C.12.1.1.2; PS3.5, 6.1 and Annexes H-K), ISO 2022 escapes included."""

import re
from functools import lru_cache

_SINGLE = {
    "6": "ascii",
    "100": "iso8859-1",
    "101": "iso8859-2",
    "109": "iso8859-3",
    "110": "iso8859-4",
    "144": "iso8859-5",
    "127": "iso8859-6",
    "126": "iso8859-7",
    "138": "iso8859-8",
    "148": "iso8859-9",
    "203": "iso8859-15",
    "13": "shift_jis",
    "166": "tis-620",
    "192": "utf-8",
    "149": "euc_kr",
    "58": "gb2312",
}
_ESCAPE = re.compile(rb"\x1b(?:\$?[()\-]?[@-~])|\x1b\$[()][A-Z]")
_UPPER_HALF = {
    b"\x1b-A": "iso8859-1",
    b"\x1b-B": "iso8859-2",
    b"\x1b-C": "iso8859-3",
    b"\x1b-D": "iso8859-4",
    b"\x1b-L": "iso8859-5",
    b"\x1b-G": "iso8859-6",
    b"\x1b-F": "iso8859-7",
    b"\x1b-H": "iso8859-8",
    b"\x1b-M": "iso8859-9",
    b"\x1b-b": "iso8859-15",
    b"\x1b-T": "tis-620",
    b"\x1b)I": "shift_jis",
    b"\x1b$)C": "euc_kr",
    b"\x1b$)A": "gb2312",
}
_JAPANESE = {b"\x1b$B": b"\x1b$B", b"\x1b$@": b"\x1b$@", b"\x1b$(D": b"\x1b$(D"}


@lru_cache(maxsize=8192)
def texts(value: bytes, charset: bytes) -> tuple[str, ...]:
    """Every reading of a value that can be meant: by its declared character sets, as UTF-8, as Latin-1."""
    if value.isascii() and b"\x1b" not in value:
        return (value.decode("ascii"),)
    found = [_declared(value, charset)]
    for codec in ("utf-8", "iso8859-1"):
        try:
            found.append(value.decode(codec))
        except UnicodeDecodeError:
            continue
    return tuple(dict.fromkeys(found))


def _declared(value: bytes, charset: bytes) -> str:
    names = [name.strip() for name in charset.decode("ascii", "replace").split("\\")]
    first = _codec(names[0])
    if b"\x1b" not in value:
        several = [_codec(name) for name in names[1:] if name]
        return _lenient(value, several[0] if several and first == "iso8859-1" and several[0] in ("gb2312", "euc_kr") else first)
    pieces: list[str] = []
    upper, japanese, position = first, b"", 0
    for escape in _ESCAPE.finditer(value):
        pieces.append(_piece(value[position : escape.start()], upper, japanese, first))
        code = escape.group()
        position = escape.end()
        if code in _JAPANESE:
            japanese = _JAPANESE[code]
        elif code in _UPPER_HALF:
            upper, japanese = _UPPER_HALF[code], b""
        else:
            japanese = b""
    pieces.append(_piece(value[position:], upper, japanese, first))
    return "".join(pieces)


def _piece(value: bytes, upper: str, japanese: bytes, first: str) -> str:
    if japanese:
        return _lenient(japanese + value + b"\x1b(B", "iso2022_jp_2")
    # The initial sets come back at every delimiter (PS3.5, 6.1.2.5.3).
    parts = re.split(rb"([\\^=\r\n])", value)
    return "".join(
        _lenient(part, upper if number == 0 or upper in ("euc_kr", "gb2312") else first) for number, part in enumerate(parts)
    )


def _lenient(value: bytes, codec: str) -> str:
    return value.decode(codec, "replace")


def _codec(name: str) -> str:
    if name in ("GB18030", "GBK"):
        return name.lower()
    number = name.rsplit(" ", 1)[-1]
    return _SINGLE.get(number, "iso8859-1")
