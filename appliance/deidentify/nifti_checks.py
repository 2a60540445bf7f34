"""The verifier for studies that came as NIfTI: reads source and output by itself, and says what is wrong, never a value."""

import gzip
import hashlib
import json
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from appliance.deidentify import sidecar_keys
from appliance.deidentify.passport import DeidRequest, OutputFile, Residue
from appliance.deidentify.rules import Kind
from appliance.deidentify.search import Search, Wanted

_CLEARED = {348: ((4, 39), (140, 252), (328, 344)), 540: ((240, 344), (508, 524), (525, 540))}
_AGE = re.compile(r"0([0-8]\d|90)Y|\d{3}[DWM]")


def verify_bundle(request: DeidRequest, folder: Path, names: dict[str, str]) -> tuple[list[OutputFile], list[Residue], Wanted]:
    """Output files, findings, and what was looked for; `names` are the expected paths by instance."""
    wanted = _wanted(request)
    search = Search(wanted)
    files: list[OutputFile] = []
    residues: list[Residue] = []
    for file in request.files:
        name = names[file.instance]
        try:
            content, before = (folder / name).read_bytes(), Path(file.path).read_bytes()
        except OSError:
            residues.append(Residue(instance=file.instance, place="file", rule="file is missing"))
            continue
        files.append(OutputFile(path=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))
        check = _sidecar if name.endswith(".json") else _table if name.endswith(("bval", "bvec")) else _image
        found = check(before, content, search)
        residues += [Residue(instance=file.instance, place=place, rule=rule) for rule, place in found]
    strangers = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()} - set(names.values())
    residues += [Residue(instance="", place="folder", rule="file is not expected") for _ in strangers]
    return files, residues, wanted


def _wanted(request: DeidRequest) -> Wanted:
    wanted = Wanted()
    for file in request.files:
        if file.path.endswith(".json"):
            try:
                found = json.loads(Path(file.path).read_bytes().decode("utf-8-sig", "replace"))
            except (OSError, ValueError):
                continue
            for key, value in found.items() if isinstance(found, dict) else ():
                kind = sidecar_keys.IDENTIFYING.get(sidecar_keys.plain_key(key))
                for text in [value] if isinstance(value, str | int) else value if isinstance(value, list) else ():
                    if kind is Kind.NAME:
                        wanted.name(str(text).replace(",", "^"))
                    elif kind is not None:
                        wanted.value(str(text), kind)
            machine = (
                f"{found.get('Manufacturer', '')} {found.get('ManufacturersModelName', '')}" if isinstance(found, dict) else ""
            )
            wanted.machine.update(re.findall(r"[^\W_]+", machine.casefold()))
    return wanted


def _table(before: bytes, after: bytes, search: Search) -> Iterator[tuple[str, str]]:
    if before != after:
        yield "gradients differ from the source", "file"
    if re.search(rb"[^-+.\deEnaNif,\s]", after):
        yield "gradient file holds more than numbers", "file"


def _sidecar(before: bytes, after: bytes, search: Search) -> Iterator[tuple[str, str]]:
    source = json.loads(before.decode("utf-8-sig"))
    known = sidecar_keys.NUMBERS | sidecar_keys.CODES | sidecar_keys.TEXTS
    found: dict[str, Any] = json.loads(after)
    for key, value in found.items():
        # A key that is not on the list may itself be a value: only its number is told.
        place = key if key in known else f"key {list(found).index(key) + 1}"
        if sidecar_keys.plain_key(key) == sidecar_keys.AGE:
            if not isinstance(value, str) or not _AGE.fullmatch(value):
                yield "age is not one of PS3.5, or over 90", place
            continue
        if key not in known:
            yield "key is not on the list", place
        values = value if isinstance(value, list) else [value]
        if key in sidecar_keys.NUMBERS and not all(isinstance(one, int | float) for one in _flat(values)):
            yield "value is no number", place
        for text in (one for one in values if isinstance(one, str)):
            if len(text) > sidecar_keys.LONGEST_CODE and key in sidecar_keys.CODES:
                yield "code is longer than a code", place
            for rule in search.hits(text.encode(), b"ISO_IR 192", technical=key in sidecar_keys.CODES):
                yield rule, place
        if value != source.get(key) and key not in sidecar_keys.CODES | sidecar_keys.TEXTS:
            yield "value differs from the source", place


def _flat(values: list[Any]) -> Iterator[Any]:
    for one in values:
        if isinstance(one, list):
            yield from _flat(one)
        else:
            yield one


def _image(before: bytes, after: bytes, search: Search) -> Iterator[tuple[str, str]]:
    if after[:2] == b"\x1f\x8b":
        if after[3] or any(after[4:8]):
            yield "gzip remembers a name, a comment or a time", "gzip header"
        reader = zlib.decompressobj(wbits=31)
        plain = reader.decompress(after)
        if reader.unused_data:
            yield "bytes follow the compressed file", "end of file"
        before = gzip.decompress(before)
    else:
        plain = after
    size = next((one for one in _CLEARED if one in (int.from_bytes(plain[:4], "little"), int.from_bytes(plain[:4], "big"))), 0)
    if not size:
        yield "header is none of NIfTI", "header"
        return
    big = int.from_bytes(plain[:4], "big") == size
    start, length = _extent(before, size, big=big)
    head = bytearray(before[:size])
    for first, last in _CLEARED[size]:
        if any(plain[first:last]):
            yield "header text is not empty", f"header byte {first}"
        head[first:last] = bytes(last - first)
    if plain[:size] != head:
        yield "header differs from the source", "header"
    if any(plain[size:start]):
        yield "extensions are not empty", "extensions"
    if plain[start:] != before[start : start + length]:
        yield "image differs from the source", "image"


def _extent(plain: bytes, size: int, *, big: bool) -> tuple[int, int]:
    order = ">" if big else "<"
    if size == 348:
        start = int(struct.unpack_from(order + "f", plain, 108)[0])
        dims, bits = struct.unpack_from(order + "8h", plain, 40), struct.unpack_from(order + "h", plain, 72)[0]
    else:
        start = struct.unpack_from(order + "q", plain, 168)[0]
        dims, bits = struct.unpack_from(order + "8q", plain, 16), struct.unpack_from(order + "h", plain, 14)[0]
    length = bits // 8
    for one in dims[1 : dims[0] + 1]:
        length *= one
    return start, length
