"""De-identifies a study that came as NIfTI: header text, extensions, what gzip remembers, and JSON sidecars.

Source: nifti1.h and nifti2.h (NIfTI Data Format Working Group); RFC 1952 for gzip. The image's bytes are copied as they are.
"""

import gzip
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from struct import unpack_from
from typing import Any, Protocol

import msgspec

from appliance.deidentify import sidecar_keys
from appliance.deidentify.errors import BadRequest, UnreadableInstance
from appliance.deidentify.passport import DeidRequest, SourceFile
from appliance.deidentify.replacements import capped_age
from appliance.deidentify.rules import Kind
from appliance.deidentify.scrub import Identity, Scrubber

SUFFIXES = (".nii.gz", ".nii", ".bval", ".bvec", ".json")
_PIECE = 1 << 20
_NUMBERS = re.compile(rb"^[-+.\deEnaNif,\s]*$")
_MOST = 64 * _PIECE


class _Source(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Target(Protocol):
    def write(self, data: bytes, /) -> int: ...


@dataclass(frozen=True, slots=True)
class _Form:
    """Where a header's fields are; ranges of bytes that are cleared."""

    size: int
    offset_field: tuple[int, str]
    dims: tuple[int, str]
    bits: int
    text: tuple[tuple[int, int], ...]


# NIfTI-1: data_type, db_name, extents, session_error, regular; glmax, glmin; descrip, aux_file; intent_name.
_ONE = _Form(348, (108, "f"), (40, "8h"), 72, ((4, 39), (140, 148), (148, 252), (328, 344)))
# NIfTI-2: descrip, aux_file; intent_name; unused_str.
_TWO = _Form(540, (168, "q"), (16, "8q"), 14, ((240, 344), (508, 524), (525, 540)))


def suffix(path: str) -> str:
    """The suffix of a file of a NIfTI study; empty for any other."""
    return next((one for one in SUFFIXES if path.lower().endswith(one)), "")


def is_bundle(files: list[SourceFile]) -> bool:
    """Whether a study came as NIfTI; raises `BadRequest` for one that mixes NIfTI and DICOM."""
    found = [bool(suffix(file.path)) for file in files]
    if any(found) and not all(found):
        raise BadRequest(reason="it mixes DICOM and NIfTI")
    return bool(found) and all(found)


def output_path(file: SourceFile) -> str:
    """Where a file lies below the out-folder: our identifiers and its kind."""
    return f"{file.series}/{file.instance}{suffix(file.path)}"


def deidentify_bundle(request: DeidRequest, draft: Path, progress: Callable[[float, str], None]) -> dict[str, int]:
    """Writes every file below `draft`, and says how often what was done; raises `UnreadableInstance`."""
    actions: Counter[str] = Counter()
    sidecars = {file.instance: _sidecar(file) for file in request.files if suffix(file.path) == ".json"}
    scrubber = Scrubber(_identity(sidecars))
    over = any(_over_89(found) for found in sidecars.values())
    for number, file in enumerate(request.files):
        target = draft / output_path(file)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        kind = suffix(file.path)
        if kind == ".json":
            target.write_bytes(_cleaned(sidecars[file.instance], scrubber, actions, over=over))
        elif kind in (".bval", ".bvec"):
            target.write_bytes(_table(file))
        else:
            _image(file, target, actions)
        target.chmod(0o600)
        progress(number / len(request.files) * 0.7, "de-identify")
    return dict(actions)


def _sidecar(file: SourceFile) -> dict[str, Any]:
    try:
        content = Path(file.path).read_bytes()
        found = msgspec.json.decode(content.removeprefix(b"\xef\xbb\xbf"))
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        found = None
    if not isinstance(found, dict):
        raise UnreadableInstance(instance=file.instance, reason="its sidecar is no JSON object")
    return found


def _texts(value: object) -> list[str]:
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [str(value)] if isinstance(value, str | int | float) and not isinstance(value, bool) else []


def _identity(sidecars: dict[str, dict[str, Any]]) -> Identity:
    identity = Identity()
    for found in sidecars.values():
        for key, value in found.items():
            kind = sidecar_keys.IDENTIFYING.get(sidecar_keys.plain_key(key))
            for text in _texts(value) if kind else []:
                if kind is Kind.NAME:
                    identity.add_name(text.replace(",", "^"))
                elif kind is not None:
                    identity.add_value(text, kind)
            if key in ("Manufacturer", "ManufacturersModelName"):
                identity.add_technical(str(value))
    return identity


def _over_89(found: dict[str, Any]) -> bool:
    ages = [str(value) for key, value in found.items() if sidecar_keys.plain_key(key) == sidecar_keys.AGE]
    return any(capped_age(age, over=False) == "090Y" for age in ages)


def _cleaned(found: dict[str, Any], scrubber: Scrubber, actions: Counter[str], *, over: bool) -> bytes:
    kept: dict[str, Any] = {}
    for key, value in found.items():
        if key in sidecar_keys.NUMBERS and _is_number(value):
            kept[key] = value
        elif key in sidecar_keys.CODES and _is_text(value):
            kept[key] = _each(value, scrubber.technical_text)
        elif key in sidecar_keys.TEXTS and isinstance(value, str):
            kept[key] = scrubber.free_text(value)
        elif sidecar_keys.plain_key(key) == sidecar_keys.AGE and (age := capped_age(str(value), over=over)):
            kept[key] = age
        actions["remove" if key not in kept else "keep" if kept[key] == value else "scrub text"] += 1
    return msgspec.json.format(msgspec.json.encode(kept), indent=1) + b"\n"


def _is_number(value: object) -> bool:
    return all(_is_number(one) for one in value) if isinstance(value, list) else isinstance(value, int | float)


def _is_text(value: object) -> bool:
    values = value if isinstance(value, list) else [value]
    return all(isinstance(one, str) and len(one) <= sidecar_keys.LONGEST_CODE for one in values)


def _each(value: str | list[str], change: Callable[[str], str]) -> str | list[str]:
    return [change(one) for one in value] if isinstance(value, list) else change(value)


def _table(file: SourceFile) -> bytes:
    content = Path(file.path).read_bytes()
    if len(content) > _MOST or not _NUMBERS.match(content):
        raise UnreadableInstance(instance=file.instance, reason="its gradient file holds more than numbers")
    return content


def _image(file: SourceFile, target: Path, actions: Counter[str]) -> None:
    packed = suffix(file.path) == ".nii.gz"
    try:
        with gzip.open(file.path) if packed else open(file.path, "rb") as source, open(target, "xb") as raw:
            if packed:
                # Neither a name nor a time of the file inside (RFC 1952, 2.3).
                with gzip.GzipFile(filename="", mode="wb", fileobj=raw, compresslevel=1, mtime=0) as packer:
                    _copied(source, packer, file.instance)
            else:
                _copied(source, raw, file.instance)
    except (OSError, EOFError) as fault:
        raise UnreadableInstance(instance=file.instance, reason=f"it cannot be read ({type(fault).__name__})") from None
    actions["clear header"] += 1


def _copied(source: _Source, target: _Target, instance: str) -> None:
    header = bytearray(source.read(4))
    order = next((one for one in "<>" if len(header) == 4 and unpack_from(f"{one}i", header)[0] in (348, 540)), "")
    if not order:
        raise UnreadableInstance(instance=instance, reason="it is no NIfTI file")
    form = _ONE if unpack_from(f"{order}i", header)[0] == 348 else _TWO
    header += source.read(form.size - 4)
    magic = bytes(header[344:347] if form is _ONE else header[4:7])
    if len(header) < form.size or magic not in (b"n+1", b"n+2"):
        raise UnreadableInstance(instance=instance, reason="its header and image are not one file")
    place, code = form.offset_field
    offset = int(unpack_from(order + code, header, place)[0])
    rank, *dims = unpack_from(order + form.dims[1], header, form.dims[0])
    bits = unpack_from(order + "h", header, form.bits)[0]
    if not 1 <= rank <= 7 or offset < form.size or any(one < 1 for one in dims[:rank]):
        raise UnreadableInstance(instance=instance, reason="its header contradicts itself")
    count = bits // 8
    for one in dims[:rank]:
        count *= one
    for start, stop in form.text:
        header[start:stop] = bytes(stop - start)
    # No extensions: the image begins where it begins in the source, with zeros before it.
    target.write(bytes(header) + bytes(offset - form.size))
    _skipped(source, offset - form.size, instance)
    while count > 0:
        piece = source.read(min(_PIECE, count))
        if not piece:
            raise UnreadableInstance(instance=instance, reason="its image is shorter than its header says")
        target.write(piece)
        count -= len(piece)


def _skipped(source: _Source, count: int, instance: str) -> None:
    if count > _MOST or len(source.read(count)) < count:
        raise UnreadableInstance(instance=instance, reason="its header contradicts itself")
