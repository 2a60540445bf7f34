"""What can be read in a document, whatever format it has: texts with their places, and bytes that are no text.

It knows a document by its first bytes, opens what is packed or encoded in it, and reads on inside. The pixels of pictures are
left out: noise in them spells short names (`appliance.deidentify.search`), and the pages that they show are read as text.
"""

import base64
import binascii
import gzip
import html
import io
import json
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any, NamedTuple

_DEEPEST = 5
_LARGEST = 256 << 20
_PACKED = re.compile(r"[A-Za-z0-9+/]{160,}={0,2}")
"""Base64 of whole files: shorter pieces are searched as they stand."""
_STREAM = re.compile(rb"stream\r?\n(.*?)endstream", re.DOTALL)
_PDF_HEX = re.compile(r"<([0-9A-Fa-f\s]{8,})>")
_KEY = re.compile(r"[A-Za-z_][\w.\-]{0,40}")
_PNG = b"\x89PNG\r\n\x1a\n"
_PIXELS = frozenset({b"IDAT", b"IHDR", b"PLTE", b"IEND", b"pHYs", b"gAMA", b"cHRM", b"sRGB", b"bKGD", b"tRNS", b"sBIT"})
_NIFTI = {348: (108, "f", 344), 540: (168, "q", 4)}
"""Length of the header -> where the image's place stands, how it is written, where the magic is."""


class Part(NamedTuple):
    """One piece of a document; exactly one of `text` and `content` says something."""

    place: str
    text: str = ""
    content: bytes = b""


class Unreadable(Exception):
    """A document that cannot be read to its end; the message names the place."""


def parts(content: bytes, place: str = "", depth: int = 0) -> Iterator[Part]:
    """Everything in a document that can name somebody; `place` stands before each part's own. Raises `Unreadable`."""
    if depth > _DEEPEST or len(content) > _LARGEST:
        raise Unreadable(f"{place}: packed too deep or too large")
    try:
        yield from _of_kind(content, place, depth)
    except (zlib.error, zipfile.BadZipFile, struct.error, OSError, EOFError, RuntimeError, IndexError) as fault:
        raise Unreadable(f"{place}: cannot be read ({type(fault).__name__})") from None


def _of_kind(content: bytes, place: str, depth: int) -> Iterator[Part]:
    if content.startswith(b"%PDF-"):
        yield from _pdf(content, place)
    elif content.startswith(_PNG):
        yield from _png(content, place)
    elif content.startswith(b"PK\x03\x04"):
        yield from _zip(content, place, depth)
    elif content.startswith(b"\x1f\x8b"):
        yield from _gzip(content, place, depth)
    elif content[128:132] == b"DICM":
        yield from _dicom(content, place, depth)
    elif _nifti_size(content):
        yield from _nifti(content, place)
    else:
        yield from _text(content, place, depth)


def _text(content: bytes, place: str, depth: int) -> Iterator[Part]:
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError:
        yield Part(f"{place}, bytes", content=content)
        yield from _lines(content.decode("latin-1"), place, depth)
        return
    if text.lstrip()[:1] in ("{", "["):
        try:
            found = json.loads(text)
        except ValueError:
            found = None
        if found is not None:
            yield from _json(found, place, depth)
            return
    yield from _lines(text, place, depth)


def _lines(text: str, place: str, depth: int) -> Iterator[Part]:
    """Lines, and pieces of marked-up ones, with entities resolved."""
    for number, line in enumerate(text.splitlines(), 1):
        yield from _words(line, f"{place}, line {number}", depth)


def _words(text: str, place: str, depth: int) -> Iterator[Part]:
    """A text without what is packed into it, and what was packed."""
    for packed in _PACKED.findall(text):
        opened = _opened(packed)
        if opened is not None:
            text = text.replace(packed, " ")
            yield from parts(opened, f"{place}, packed", depth + 1)
    yield Part(place, text)
    if "<" in text:
        yield from (Part(place, piece) for piece in re.split(r"<[!/?]?|/?>", html.unescape(text)) if piece.strip())
    elif "&" in text:
        yield Part(place, html.unescape(text))


def _opened(packed: str) -> bytes | None:
    try:
        return base64.b64decode(packed, validate=True)
    except (binascii.Error, ValueError):
        return None


def _json(found: Any, place: str, depth: int, path: str = "") -> Iterator[Part]:
    here = f"{place}, {path}" if path else place
    if isinstance(found, str):
        yield from _words(found, here, depth)
    elif isinstance(found, dict):
        for number, (key, value) in enumerate(found.items()):
            yield Part(f"{here}, key {number + 1}", key)
            below = key if _KEY.fullmatch(key) else f"member {number + 1}"
            yield from _json(value, place, depth, f"{path}.{below}" if path else below)
    elif isinstance(found, list):
        for number, value in enumerate(found):
            yield from _json(value, place, depth, f"{path}[{number}]")
    elif isinstance(found, int | float) and not isinstance(found, bool):
        yield Part(here, str(found))


def _pdf(content: bytes, place: str) -> Iterator[Part]:
    """Texts of the pages, the document's facts, attachments by their presence, and whatever stands outside streams."""
    import pypdfium2

    document = pypdfium2.PdfDocument(content)
    try:
        for number, page in enumerate(document, 1):
            text = page.get_textpage().get_text_range()
            # A line that is broken in the middle of a name reads on below.
            yield Part(f"{place}, page {number}", text.replace("\ufffe", "").replace("\r\n", " "))
        for name, value in document.get_metadata_dict(skip_empty=True).items():
            yield Part(f"{place}, {name}", value)
        for number in range(document.count_attachments()):
            yield from parts(bytes(document.get_attachment(number).get_data()), f"{place}, attachment {number + 1}", _DEEPEST)
    finally:
        document.close()
    yield from _outside(_STREAM.sub(b" ", content), place)
    for number, stream in enumerate(_STREAM.findall(content), 1):
        if stream.lstrip()[:1] == b"<":
            yield from _lines(stream.decode("utf-8", "replace"), f"{place}, stream {number}", _DEEPEST)


def _outside(skeleton: bytes, place: str) -> Iterator[Part]:
    text = skeleton.decode("latin-1")
    for line in text.splitlines():
        if line.strip():
            yield Part(f"{place}, outside the pages", line)
    for packed in _PDF_HEX.findall(text):
        figures = "".join(packed.split())
        raw = bytes.fromhex(figures[: len(figures) // 2 * 2])
        yield Part(f"{place}, outside the pages", raw.decode("utf-16" if raw[:2] == b"\xfe\xff" else "latin-1", "replace"))


def _png(content: bytes, place: str) -> Iterator[Part]:
    """Every chunk but pixels and what describes them, and bytes behind the last one."""
    position = len(_PNG)
    while position + 12 <= len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        kind, value = content[position + 4 : position + 8], content[position + 8 : position + 8 + length]
        position += 12 + length
        here = f"{place}, chunk {kind.decode('latin-1') if kind.isalpha() else 'unknown'}"
        if kind not in _PIXELS:
            yield Part(here, _png_text(kind, value))
        if kind == b"IEND":
            break
    if position < len(content):
        yield Part(f"{place}, behind the end", content[position:].decode("utf-8", "replace"))


def _png_text(kind: bytes, value: bytes) -> str:
    name, _, rest = value.partition(b"\0")
    if kind == b"zTXt":
        rest = zlib.decompress(rest[1:])
    elif kind == b"iTXt":
        flag, rest = rest[:1], rest[2:].split(b"\0", 2)[-1]
        rest = zlib.decompress(rest) if flag == b"\1" else rest
    codec = "utf-8" if kind == b"iTXt" else "latin-1"
    return f"{name.decode('latin-1')} {rest.decode(codec, 'replace')}"


def _zip(content: bytes, place: str, depth: int) -> Iterator[Part]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        yield Part(f"{place}, comment", archive.comment.decode("utf-8", "replace"))
        for number, one in enumerate(archive.infolist(), 1):
            here = f"{place}, member {number}"
            yield Part(f"{here}, name", f"{one.filename} {one.comment.decode('utf-8', 'replace')}")
            if one.file_size > _LARGEST:
                raise Unreadable(f"{here}: too large")
            yield from parts(archive.read(one), here, depth + 1)


def _gzip(content: bytes, place: str, depth: int) -> Iterator[Part]:
    if content[3] & 0b11100:
        yield Part(f"{place}, gzip header", content[10:400].decode("latin-1"))
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
        plain = stream.read(_LARGEST + 1)
    yield from parts(plain, place, depth + 1)


def _dicom(content: bytes, place: str, depth: int) -> Iterator[Part]:
    """The document inside an object (0042,0011): its header names the patient by the standard's own rules."""
    start, stop = content.find(b"%PDF-"), content.rfind(b"%%EOF")
    if 0 < start < stop:
        yield from parts(content[start : stop + 5], f"{place}, (0042,0011)", depth + 1)


def _nifti_size(content: bytes) -> int:
    for order in ("little", "big"):
        size = int.from_bytes(content[:4], "little" if order == "little" else "big")
        if size in _NIFTI and content[_NIFTI[size][2] :][:2] in (b"n+", b"ni"):
            return size
    return 0


def _nifti(content: bytes, place: str) -> Iterator[Part]:
    """Header and extensions; the image behind them is numbers."""
    size = _nifti_size(content)
    order = "<" if int.from_bytes(content[:4], "little") == size else ">"
    at, form, _ = _NIFTI[size]
    start = int(struct.unpack_from(order + form, content, at)[0])
    head = content[: max(start, size)]
    yield Part(f"{place}, header", content=head)
    yield Part(f"{place}, header", head.replace(b"\0", b" ").decode("utf-8", "replace"))
