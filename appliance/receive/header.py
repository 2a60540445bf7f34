"""The head of a data set: the few attributes that filing needs, read without decoding the rest.

A scanner of our own walks the top level up to Series Number (0020,0011) and never looks at pixels; it costs a fourteenth of
pydicom. Where it fails or misses a UID, pydicom reads the same bytes: it knows more of the errors that devices make.
Encodings: PS3.5 section 7 and Annex A.
"""

import re
import struct
import zlib
from collections.abc import Mapping
from functools import lru_cache
from io import BytesIO
from typing import Final

import msgspec

from appliance.foreign import FAULTS

IMPLICIT_LITTLE: Final = "1.2.840.10008.1.2"
EXPLICIT_LITTLE: Final = "1.2.840.10008.1.2.1"
DEFLATED: Final = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG: Final = "1.2.840.10008.1.2.2"

CHARACTER_SET = 0x00080005
SOP_CLASS = 0x00080016
SOP_INSTANCE = 0x00080018
STUDY_DATE = 0x00080020
STUDY_TIME = 0x00080030
ACCESSION = 0x00080050
MODALITY = 0x00080060
REFERRING_PHYSICIAN = 0x00080090
STUDY_DESCRIPTION = 0x00081030
SERIES_DESCRIPTION = 0x0008103E
PATIENT_NAME = 0x00100010
PATIENT_ID = 0x00100020
ISSUER = 0x00100021
BIRTH_DATE = 0x00100030
SEX = 0x00100040
AGE = 0x00101010
STUDY_INSTANCE = 0x0020000D
SERIES_INSTANCE = 0x0020000E
STUDY_ID = 0x00200010
SERIES_NUMBER = 0x00200011
REQUESTED_PRIORITY = 0x00401003

_WANTED = frozenset(
    {
        CHARACTER_SET,
        SOP_CLASS,
        SOP_INSTANCE,
        STUDY_DATE,
        STUDY_TIME,
        ACCESSION,
        MODALITY,
        REFERRING_PHYSICIAN,
        STUDY_DESCRIPTION,
        SERIES_DESCRIPTION,
        PATIENT_NAME,
        PATIENT_ID,
        ISSUER,
        BIRTH_DATE,
        SEX,
        AGE,
        STUDY_INSTANCE,
        SERIES_INSTANCE,
        STUDY_ID,
        SERIES_NUMBER,
    }
)
_UIDS = (SOP_CLASS, SOP_INSTANCE, STUDY_INSTANCE, SERIES_INSTANCE)
_LAST = SERIES_NUMBER
_ITEM, _ITEM_END, _SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
_UNDEFINED = 0xFFFFFFFF
_LONG_FORM = frozenset({b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"})
_SHORT_FORM = frozenset(
    {b"AE", b"AS", b"AT", b"CS", b"DA", b"DS", b"DT", b"FD", b"FL", b"IS", b"LO", b"LT"}
    | {b"PN", b"SH", b"SL", b"SS", b"ST", b"TM", b"UI", b"UL", b"US"}
)
_DEPTH = 64
_VALUE_BYTES = 4096
"""Longer values than this are no identifiers; they are left out rather than kept in memory."""
_HEAD_BYTES = 1 << 20
_MOST_HEAD_BYTES = 16 << 20
_MOST_ELEMENTS = 200_000
"""Elements and items of a head, a hundred times those of real ones: millions of empty ones would hold up all others."""
_MOST_ODD_BYTES = 128 << 10
"""What pydicom is given of a head that the scanner could not read: it takes five microseconds a byte at worst."""
_UID = re.compile(r"[0-9]+(\.[0-9]+)*")

Buffer = bytes | memoryview


class Unreadable(ValueError):
    """These bytes are no data set in this transfer syntax."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What the head of a data set says; raw values by tag, as they were encoded."""

    values: Mapping[int, bytes]
    whole: bool
    """False when the bytes end or stop making sense before the last attribute that was looked for."""

    def uid(self, tag: int) -> str:
        """A UID without its padding; empty when it is missing or breaks PS3.5 section 9.1 (leading zeros are let through)."""
        text = self.values.get(tag, b"").decode("ascii", "replace").rstrip("\0 ").strip()
        return text if is_uid(text) else ""

    def text(self, tag: int) -> str:
        """A text value in the data set's own character set, without padding and control characters."""
        raw = self.values.get(tag, b"")
        return _decoded(raw, self.values.get(CHARACTER_SET, b"")) if raw else ""

    def number(self, tag: int) -> int:
        """An integer string; 0 when there is none."""
        try:
            return max(-(2**31), min(2**31 - 1, int(self.values.get(tag, b"0").decode("ascii", "replace").strip("\0 ") or 0)))
        except ValueError:
            return 0


def is_uid(text: str) -> bool:
    """Whether text has the form of a UID: digits and single dots, 64 at most (PS3.5 section 9.1)."""
    return 0 < len(text) <= 64 and _UID.fullmatch(text) is not None


def read_header(data: Buffer, transfer_syntax: str) -> Header:
    """The head of a data set; what could be read is given even when the rest makes no sense."""
    head = _inflated(data) if transfer_syntax == DEFLATED else data
    little = transfer_syntax != EXPLICIT_BIG
    implicit = transfer_syntax == IMPLICIT_LITTLE
    values: dict[int, bytes] = {}
    whole = True
    try:
        _Scanner(head, implicit=implicit, little=little).read(values)
    except (Unreadable, struct.error, IndexError):
        whole = False
    if all(values.get(tag) for tag in _UIDS):
        return Header(values=values, whole=whole)
    again = _by_pydicom(head, implicit=implicit, little=little)
    return Header(values={**values, **again}, whole=whole and bool(again))


def head_uids(data: Buffer, transfer_syntax: str, *, whole: bool) -> tuple[str, str]:
    """SOP class and SOP instance UID at the head of a data set; empty when missing, or when more of the data set is needed.

    `whole` says that no more can be had, so that pydicom is asked as well.
    """
    if transfer_syntax != DEFLATED:
        values: dict[int, bytes] = {}
        try:
            implicit, little = transfer_syntax == IMPLICIT_LITTLE, transfer_syntax != EXPLICIT_BIG
            _Scanner(data, implicit=implicit, little=little).read(values, last=SOP_INSTANCE)
        except (Unreadable, struct.error, IndexError):
            pass
        found = Header(values=values, whole=False)
        if values.get(SOP_CLASS) and values.get(SOP_INSTANCE):
            return found.uid(SOP_CLASS), found.uid(SOP_INSTANCE)
    if not whole:
        return "", ""
    header = read_header(data, transfer_syntax)
    return header.uid(SOP_CLASS), header.uid(SOP_INSTANCE)


def value_beyond(data: Buffer, transfer_syntax: str, tag: int) -> str | None:
    """One plain value of the top level that stands behind the head; empty without it, None when it was not reached."""
    values: dict[int, bytes] = {}
    little, implicit = transfer_syntax != EXPLICIT_BIG, transfer_syntax == IMPLICIT_LITTLE
    try:
        head = _inflated(data) if transfer_syntax == DEFLATED else data
        _Scanner(head, implicit=implicit, little=little).read(values, last=tag, wanted=frozenset({tag}))
    except (Unreadable, struct.error, IndexError):
        return None
    return values.get(tag, b"").decode("ascii", "replace").strip("\0 ")


def private_value(data: Buffer, transfer_syntax: str, group: int, element: int, creator: str) -> str | None:
    """A private text value of the top level (PS3.5 section 7.8.1); empty without it, None when it was not reached.

    With a creator the last two digits of `element` count, in the block that this creator reserved. Without one it is exactly
    this element, unless that only reserves a block for somebody.
    """
    low = element & 0xFF
    elements = range(0x10, 0x100)
    own_block = range(element << 8, (element + 1) << 8) if element in elements else ()
    wanted = frozenset(group << 16 | one for one in (element, *elements, *own_block, *(block << 8 | low for block in elements)))
    values: dict[int, bytes] = {}
    try:
        head = _inflated(data) if transfer_syntax == DEFLATED else data
        _Scanner(head, implicit=transfer_syntax == IMPLICIT_LITTLE, little=transfer_syntax != EXPLICIT_BIG).read(
            values, last=group << 16 | 0xFFFF, wanted=wanted
        )
    except (Unreadable, struct.error, IndexError):
        return None
    texts = {tag & 0xFFFF: value.decode("ascii", "replace").strip("\0 ") for tag, value in values.items()}
    if creator:
        blocks = [one for one in elements if texts.get(one) == creator]
        return next((texts[block << 8 | low] for block in blocks if block << 8 | low in texts), "")
    reserves = element in elements and any(one >> 8 == element for one in texts)
    return "" if reserves else texts.get(element, "")


class _Scanner:
    """Walks the elements of one data set; `skip_item` follows sequences of undefined length."""

    def __init__(self, data: Buffer, *, implicit: bool, little: bool) -> None:
        order = "<" if little else ">"
        self._data = data
        self._end = len(data)
        self._implicit = implicit
        self._order = order
        self._tag = struct.Struct(order + "HH").unpack_from
        self._short = struct.Struct(order + "H").unpack_from
        self._long = struct.Struct(order + "I").unpack_from
        self._first = struct.Struct(order + "HH2sH").unpack_from
        self._left = _MOST_ELEMENTS

    def read(self, values: dict[int, bytes], last: int = _LAST, wanted: frozenset[int] = _WANTED) -> None:
        """Collects the wanted values up to the last of them; raises `Unreadable`."""
        at = 0
        data, end, long, first, implicit = self._data, self._end, self._long, self._first, self._implicit
        for _ in range(_MOST_ELEMENTS):
            # Written out, without a call for each element: this loop is a sixth of the cost of receiving.
            if at >= end:
                return
            group, element, vr, length = first(data, at)
            tag = group << 16 | element
            if tag > last:
                return
            if not implicit and vr in _SHORT_FORM:
                at += 8
            elif implicit or group == 0xFFFE:
                length, at = long(data, at + 4)[0], at + 8
            elif vr in _LONG_FORM:
                length, at = long(data, at + 8)[0], at + 12
            else:
                raise Unreadable
            if length == _UNDEFINED:
                at = self._after_sequence(at, self._implicit, 1)
                continue
            if at + length > end:
                raise Unreadable
            if tag in wanted and length <= _VALUE_BYTES:
                values[tag] = bytes(data[at : at + length])
            at += length
        raise Unreadable

    def _element(self, at: int, implicit: bool) -> tuple[int, int, int]:
        """Tag, length and the position of the value."""
        self._left -= 1
        if self._left < 0:
            raise Unreadable
        group, element = self._tag(self._data, at)
        tag = group << 16 | element
        if implicit or group == 0xFFFE:
            return tag, self._long(self._data, at + 4)[0], at + 8
        vr = bytes(self._data[at + 4 : at + 6])
        if vr in _SHORT_FORM:
            return tag, self._short(self._data, at + 6)[0], at + 8
        if vr in _LONG_FORM:
            return tag, self._long(self._data, at + 8)[0], at + 12
        raise Unreadable

    def _after_sequence(self, at: int, implicit: bool, depth: int) -> int:
        """The position behind a sequence, or fragments, of undefined length."""
        if depth > _DEPTH:
            raise Unreadable
        while True:
            tag, length, at = self._element(at, True)
            if tag == _SEQUENCE_END:
                return at
            if tag != _ITEM:
                raise Unreadable
            at = self._after_item(at, implicit, depth) if length == _UNDEFINED else at + length
            if at > self._end:
                raise Unreadable

    def _after_item(self, at: int, implicit: bool, depth: int) -> int:
        while True:
            unknown = not implicit and bytes(self._data[at + 4 : at + 6]) == b"UN"
            tag, length, at = self._element(at, implicit)
            if tag == _ITEM_END:
                return at
            # A UN of undefined length holds implicit little endian whatever surrounds it (PS3.5 section 6.2.2).
            at = self._after_sequence(at, implicit or unknown, depth + 1) if length == _UNDEFINED else at + length
            if at > self._end:
                raise Unreadable


def _inflated(data: Buffer) -> bytes:
    """The beginning of a deflated data set; a bomb is cut off at the limit."""
    for limit in (_HEAD_BYTES, _MOST_HEAD_BYTES):
        try:
            stream = zlib.decompressobj(-zlib.MAX_WBITS)
            head = stream.decompress(data, limit)
        except zlib.error:
            return b""
        if len(head) < limit or _reaches_end(head):
            break
    return head


def _reaches_end(head: bytes) -> bool:
    try:
        _Scanner(head, implicit=False, little=True).read({})
    except (Unreadable, struct.error, IndexError):
        return False
    return True


def _by_pydicom(head: Buffer, *, implicit: bool, little: bool) -> dict[int, bytes]:
    from pydicom.errors import BytesLengthException
    from pydicom.filereader import read_dataset
    from pydicom.tag import Tag

    def behind(tag: int, _vr: str | None, _length: int) -> bool:
        return tag > _LAST

    found: dict[int, bytes] = {}
    try:
        dataset = read_dataset(
            BytesIO(head[:_MOST_ODD_BYTES]),
            implicit,
            little,
            stop_when=behind,
            specific_tags=[Tag(tag) for tag in sorted(_WANTED)],
        )
        for tag in _WANTED & {int(one) for one in dataset.keys()}:  # noqa: SIM118 - iterating a Dataset decodes its elements
            value = dataset.get_item(tag).value
            if isinstance(value, bytes) and len(value) <= _VALUE_BYTES:
                found[tag] = value
    except (*FAULTS, BytesLengthException):
        return found
    return found


@lru_cache(maxsize=4096)
def _decoded(raw: bytes, character_set: bytes) -> str:
    text = ""
    if raw.isascii() and b"\x1b" not in raw:
        text = raw.decode("ascii")
    else:
        from pydicom.charset import convert_encodings, decode_bytes

        names = [one.strip() for one in character_set.decode("ascii", "replace").split("\\")]
        try:
            encodings = convert_encodings(names or [""])
            text = decode_bytes(raw, encodings, {0x5C, 0x5E, 0x3D})
        except (LookupError, ValueError):
            text = raw.decode("latin-1")
    return "".join(letter for letter in text if letter.isprintable()).strip()
