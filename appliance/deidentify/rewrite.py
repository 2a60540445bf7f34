"""Makes the de-identified bytes of one file: copies runs of elements that stay, puts new ones in place of those that change."""

import re
import zlib
from bisect import bisect_left
from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta

from appliance.deidentify.csa import rebuilt
from appliance.deidentify.decoding import encoded, readings
from appliance.deidentify.pieces import PartTen
from appliance.deidentify.private_tags import CSA_IMAGE, CSA_SERIES, FIXED_SIZE, NUMERIC, allowed
from appliance.deidentify.profile import BIRTH_DATE, PATIENT_ADDRESS, PIXEL_TAGS, VERSION, Profile
from appliance.deidentify.ps315 import DUMMIES
from appliance.deidentify.replacements import capped_age, masked_zip, new_uid, shifted_date, shifted_datetime, stays
from appliance.deidentify.rules import Action
from appliance.deidentify.runs import OWN_TAGS, Piece, Segment, is_creator
from appliance.deidentify.scrub import Scrubber
from appliance.deidentify.splice import DEFLATED, EXPLICIT, Coding, Element, Item, Unparsable, header, hidden_items

IMPLEMENTATION_UID = b"2.25.290619771964219519802688460155320110418"
IMPLEMENTATION_NAME = b"RANVIER"
_TEXT = frozenset({"CS", "SH", "LO", "ST", "LT", "UT", "UC"})
_NUMBERS = re.compile(rb"^[-+.\deE\\ \0]*$")
_TIMES = re.compile(rb"^[\d:.\\ \0-]*$")
_UIDS = re.compile(rb"^[\d.\\ \0]*$")
_UNDEFINED = 0xFFFFFFFF
_PREFIX = bytes(128) + b"DICM"


@dataclass(slots=True)
class Rewriter:
    """What one study's files are rewritten with; remembers values, because files of a series differ in few."""

    profile: Profile
    secret: bytes
    offset: timedelta
    over_89: bool
    scrubber: Scrubber
    linking: dict[str, str] = field(default_factory=dict)
    actions: Counter[str] = field(default_factory=Counter)
    _uids: dict[bytes, bytes] = field(default_factory=dict)
    _values: dict[tuple[int, str, str, bytes, bytes], bytes | None] = field(default_factory=dict)
    _uses: Counter[Segment] = field(default_factory=Counter)
    _own: dict[Coding, list[tuple[int, bytes]]] = field(default_factory=dict)
    _meta_parts: dict[tuple[bytes, str], tuple[bytes, bytes]] = field(default_factory=dict)

    def file(self, part: PartTen, body: bytes) -> bytes:
        """The whole output file; `body` holds its pixel data. Raises `Unparsable` when it cannot be encoded."""
        whole = memoryview(body)
        parts = [whole[one.start : one.end] if isinstance(one, Element) else one for one in self.layout(part)]
        if part.syntax == DEFLATED:
            packer = zlib.compressobj(wbits=-15)
            packed = packer.compress(b"".join(parts[2:])) + packer.flush()
            parts[2:] = [packed, bytes(len(packed) % 2)]
        return b"".join(parts)

    def layout(self, part: PartTen) -> list[bytes | Element]:
        """What the output file is made of, in order: bytes, and pixel data as ranges of the source's data set.

        Begins with prefix and file meta; what follows is not deflated yet. Raises `Unparsable` when it cannot be encoded.
        """
        segments = part.segments
        parts: list[bytes | Element] = [one.new if one.new is not None else self._new(one, part.coding) for one in segments]
        self._uses.update(segments)
        if part.creators:
            used: set[int] = set().union(*[one.blocks for one in segments])
            for index in part.creators:
                tag = part.tags[index]
                if tag >> 16 << 8 | tag & 0xFF in used:
                    parts[index] = segments[index].data
        for index, pixels in part.pixels:
            parts[index] = pixels
        for tag, element in reversed(self._own_elements(part.coding)):
            parts.insert(bisect_left(part.tags, tag), element)
        return [_PREFIX, self._meta(part), *parts]

    def _new(self, segment: Segment, coding: Coding) -> bytes:
        """What a segment becomes; creators of private blocks are settled file by file."""
        for piece in segment.pieces:
            if piece.new is None:
                piece.new = self._renewed(piece, coding)
                if piece.new and piece.tag >> 16 & 1 and not is_creator(piece.tag):
                    piece.blocks = frozenset({piece.tag >> 8})
        segment.new = b"".join([piece.new or b"" for piece in segment.pieces])
        segment.blocks = frozenset().union(*[piece.blocks for piece in segment.pieces])
        return segment.new

    def _renewed(self, piece: Piece, coding: Coding) -> bytes:
        if piece.tag in PIXEL_TAGS:
            piece.actions = {Action.KEEP: 1}
            return b""
        before, self.actions = self.actions, Counter()
        worker = _Pass(self, piece.data, coding)
        if piece.tag >> 16 & 1:
            creators = {(piece.tag >> 16, piece.tag >> 8 & 0xFF): piece.creator} if piece.creator else {}
            found = b"" if is_creator(piece.tag) else worker._private(piece.element, creators, piece.charset)
        else:
            found = worker._standard(piece.element, piece.charset)
        piece.actions, self.actions = dict(self.actions), before
        return piece.data if found is None else found

    def counted(self) -> dict[str, int]:
        """How often each action was taken in all files."""
        total: Counter[str] = Counter()
        for segment, times in self._uses.items():
            for piece in segment.pieces:
                for action, count in piece.actions.items():
                    total[action] += count * times
        return {str(action): count for action, count in total.items()}

    def _meta(self, part: PartTen) -> bytes:
        key = part.value(0x00080016), part.syntax
        if key not in self._meta_parts:
            version = _element(0x00020001, "OB", b"\x00\x01", EXPLICIT)
            rest = ((0x00020010, "UI", part.syntax.encode()), (0x00020012, "UI", IMPLEMENTATION_UID))
            tail = b"".join(_element(tag, vr, value, EXPLICIT) for tag, vr, value in rest)
            self._meta_parts[key] = (
                version + _element(0x00020002, "UI", key[0], EXPLICIT),
                tail + _element(0x00020013, "SH", IMPLEMENTATION_NAME, EXPLICIT),
            )
        first, last = self._meta_parts[key]
        middle = _element(0x00020003, "UI", self.uid(0x00020003, part.value(0x00080018)), EXPLICIT)
        rest_length = len(first) + len(middle) + len(last)
        return b"".join((_element(0x00020000, "UL", rest_length.to_bytes(4, "little"), EXPLICIT), first, middle, last))

    def _own_elements(self, coding: Coding) -> list[tuple[int, bytes]]:
        if coding not in self._own:
            self._own[coding] = self._described(coding)
        return self._own[coding]

    def _described(self, coding: Coding) -> list[tuple[int, bytes]]:
        shifted = self.profile.shift_dates
        items = b"".join(_code_item(value, meaning, coding) for value, meaning in self.profile.codes)
        method = f"Ranvier {self.profile.name} {VERSION}".encode()
        elements = (
            _element(0x00120062, "CS", b"YES", coding),
            _element(0x00120063, "LO", method, coding),
            header(0x00120064, "SQ", len(items), coding) + items,
            _element(0x00280303, "CS", b"MODIFIED" if shifted else b"REMOVED", coding),
        )
        return list(zip(OWN_TAGS, elements, strict=True))

    def uid(self, tag: int, uid: bytes) -> bytes:
        """One UID in its new form; the standard's own stay."""
        if uid not in self._uids:
            self._uids[uid] = new_uid(self.secret, uid)
        if not uid or stays(tag, uid):
            return uid
        self.linking[uid.decode("ascii", "replace")] = self._uids[uid].decode()
        return self._uids[uid]

    def value(self, one: Element, value: bytes, charset: bytes, action: Action, vr: str) -> bytes | None:
        """The new bytes of a value; None leaves it as it is."""
        key = (one.tag, vr, action, value, charset)
        if key not in self._values:
            self._values[key] = self._changed(one.tag, vr, value, charset, action)
        return self._values[key]

    def _changed(self, tag: int, vr: str, value: bytes, charset: bytes, action: Action) -> bytes | None:
        if action is Action.REPLACE_UID:
            return b"\\".join(self.uid(tag, one.strip(b"\0 ")) for one in value.split(b"\\"))
        if action is Action.DUMMY:
            return DUMMIES[vr]
        if action is Action.SHIFT:
            shift = shifted_datetime if vr == "DT" else shifted_date
            return b"\\".join(shift(one, self.offset).encode() for one in value.decode("latin-1").rstrip("\0 ").split("\\"))
        if action is Action.MASK:
            text = value.decode("latin-1").strip("\0 ")
            return (masked_zip(text) if tag == PATIENT_ADDRESS else capped_age(text, over=self.over_89)).encode()
        if vr in _TEXT:
            return self._cleaned(vr, value, charset, free=action is Action.SCRUB)
        form = _NUMBERS if vr in ("DS", "IS") else _TIMES if vr == "TM" else _UIDS if vr == "UI" else None
        return b"" if form and not form.match(value) else None

    def _cleaned(self, vr: str, value: bytes, charset: bytes, *, free: bool) -> bytes | None:
        clean = self.scrubber.free_text if free else self.scrubber.technical_text
        for reading in readings(value, charset):
            text = reading.rstrip("\0 ")
            new = clean(text)
            if new != text:
                if vr == "CS":
                    pairs = zip(text.split("\\"), new.split("\\"), strict=False)
                    new = "\\".join(after if before == after else "" for before, after in pairs)
                return encoded(new, charset, vr)
        return None


class _Pass:
    """One walk over one buffer."""

    def __init__(self, study: Rewriter, body: bytes, coding: Coding) -> None:
        self._study = study
        self._body = body
        self._coding = coding

    def item(self, elements: list[Element], charset: bytes) -> tuple[list[bytes], bool]:
        """The new bytes of an item, and whether they differ."""
        body, chunks, changed = self._body, list[bytes](), False
        start = stop = -1
        creators = self._creators(elements)
        for one in elements:
            if one.tag == 0x00080005:
                charset = body[one.value : one.stop].strip(b"\0 ")
            if one.tag >> 16 == 0x7FE0:
                new: bytes | None = b""  # an icon inside a sequence: pixels that nobody looks at
            else:
                new = self._private(one, creators, charset) if one.tag >> 16 & 1 else self._standard(one, charset)
            if new is None and start >= 0 and stop == one.start:
                stop = one.end
                continue
            if start >= 0:
                chunks.append(body[start:stop])
            start, stop = (one.start, one.end) if new is None else (-1, -1)
            if new is not None:
                changed = True
                chunks.append(new)
        if start >= 0:
            chunks.append(body[start:stop])
        return chunks, changed

    def _creators(self, elements: list[Element]) -> dict[tuple[int, int], str]:
        found: dict[tuple[int, int], str] = {}
        for one in elements:
            group, number = one.tag >> 16, one.tag & 0xFFFF
            if group & 1 and 0x10 <= number <= 0xFF:
                found[group, number] = self._body[one.value : one.stop].decode("latin-1").strip("\0 ")
        used = {
            (one.tag >> 16, one.tag >> 8 & 0xFF)
            for one in elements
            if one.tag >> 16 & 1 and allowed(one.tag >> 16, found.get((one.tag >> 16, one.tag >> 8 & 0xFF), ""), one.tag)
        }
        return {block: creator for block, creator in found.items() if block in used}

    def _standard(self, one: Element, charset: bytes) -> bytes | None:
        """None: stays as it is; empty bytes: is gone."""
        study = self._study
        rule = study.profile.rule(one.tag, one.vr)
        action = Action.EMPTY if one.tag == BIRTH_DATE and study.over_89 and rule.action is Action.SHIFT else rule.action
        study.actions[action] += 1
        if action is Action.REMOVE:
            return b""
        if action is Action.EMPTY:
            return header(one.tag, one.vr, 0, self._coding)
        if action is Action.DESCEND:
            return self._sequence(one, one.items or [], charset)
        if one.tag in PIXEL_TAGS or one.items is not None or one.undefined:
            return None if one.tag in PIXEL_TAGS else b""
        return self._leaf(one, charset, action, one.vr)

    def _leaf(self, one: Element, charset: bytes, action: Action, vr: str) -> bytes | None:
        if one.stop == one.value or (action is Action.KEEP and vr in FIXED_SIZE):
            return None
        value = self._body[one.value : one.stop]
        new = self._study.value(one, value, charset, action, vr)
        if new is None or new == value:
            return None
        return _element(one.tag, one.vr, new, self._coding)

    def _private(self, one: Element, creators: dict[tuple[int, int], str], charset: bytes) -> bytes | None:
        group, number = one.tag >> 16, one.tag & 0xFFFF
        if 0x10 <= number <= 0xFF:
            return None if (group, number) in creators else b""
        form = allowed(group, creators.get((group, number >> 8), ""), number)
        new = self._safe_private(one, form, charset) if form else b""
        self._study.actions[Action.REMOVE if new == b"" else Action.KEEP] += 1
        return new

    def _safe_private(self, one: Element, form: str, charset: bytes) -> bytes | None:
        if form in (CSA_IMAGE, CSA_SERIES):
            value = rebuilt(self._body[one.value : one.stop], form) if one.items is None else b""
            return _element(one.tag, one.vr, value, self._coding) if value else b""
        if form == "SQ":
            try:
                items = one.items if one.items is not None else hidden_items(self._body, one)
            except Unparsable:
                return b""
            return self._sequence(one, items, charset)
        if one.items is not None:
            return b""
        vr = form if one.vr == "UN" else one.vr
        if vr in FIXED_SIZE:
            whole = (one.stop - one.value) % FIXED_SIZE[vr] == 0
            return None if form in FIXED_SIZE and whole else b""
        if vr not in _TEXT | {"DS", "IS"}:
            return b""
        if form in NUMERIC and not _NUMBERS.match(self._body[one.value : one.stop]):
            return b""
        return self._leaf(one, charset, Action.KEEP if form in NUMERIC else Action.SCRUB, vr)

    def _sequence(self, one: Element, items: list[Item], charset: bytes) -> bytes | None:
        inner = self if one.vr == "SQ" else _Pass(self._study, self._body, Coding(False, True))
        parts: list[bytes] = []
        changed = False
        for item in items:
            chunks, differs = inner.item(item.elements, charset)
            changed = changed or differs
            content = b"".join(chunks)
            parts.append(header(0xFFFEE000, "", _UNDEFINED if item.undefined else len(content), inner._coding) + content)
            if item.undefined:
                parts.append(header(0xFFFEE00D, "", 0, inner._coding))
        if not changed:
            return None
        content = b"".join(parts)
        if one.undefined:
            end = header(0xFFFEE0DD, "", 0, inner._coding)
            return header(one.tag, one.vr, _UNDEFINED, self._coding) + content + end
        return header(one.tag, one.vr, len(content), self._coding) + content


def _element(tag: int, vr: str, value: bytes, coding: Coding) -> bytes:
    if len(value) % 2:
        value += b"\0" if vr in ("UI", "OB", "UN") else b" "
    return header(tag, vr, len(value), coding) + value


def _code_item(value: bytes, meaning: bytes, coding: Coding) -> bytes:
    content = b"".join(
        _element(tag, vr, text, coding)
        for tag, vr, text in ((0x00080100, "SH", value), (0x00080102, "SH", b"DCM"), (0x00080104, "LO", meaning))
    )
    return header(0xFFFEE000, "", len(content), coding) + content
