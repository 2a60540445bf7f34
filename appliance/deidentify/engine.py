"""De-identifies all files of a study into a draft folder, or none: survey first, then rewrite."""

import os
import re
from collections import Counter
from collections.abc import Callable, Generator
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

from appliance.deidentify.crew import in_parts, shares
from appliance.deidentify.errors import BadRequest, UnreadableInstance
from appliance.deidentify.passport import DeidRequest, SourceFile
from appliance.deidentify.pieces import PartTen, Reader, inflated
from appliance.deidentify.profile import Profile
from appliance.deidentify.replacements import date_offset
from appliance.deidentify.rewrite import Rewriter
from appliance.deidentify.scrub import Identity, Scrubber
from appliance.deidentify.splice import DEFLATED, Element, Unparsable
from appliance.deidentify.survey import Survey

Progress = Callable[[float, str], None]
_IDENTIFIER = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
_STUDY_UID = 0x0020000D
_COPIED_BY_THE_KERNEL = 1 << 20


@dataclass(frozen=True, slots=True)
class Written:
    """What the engine did."""

    linking: dict[str, str]
    """Original UID -> new UID."""
    actions: dict[str, int]
    over_89: bool


def output_path(file: SourceFile) -> str:
    """Where an instance lies below the out-folder: our identifiers alone."""
    return f"{file.series}/{file.instance}.dcm"


def check_request(request: DeidRequest, profile: Profile) -> bytes:
    """The secret of a sound request; raises `BadRequest`."""
    if not request.files:
        raise BadRequest(reason="it names no instance")
    if len({output_path(file) for file in request.files}) != len(request.files):
        raise BadRequest(reason="it names an instance twice")
    if not all(_IDENTIFIER.match(file.series) and _IDENTIFIER.match(file.instance) for file in request.files):
        raise BadRequest(reason="an identifier is none of ours")
    if profile.date_shift_range_days < 1:
        raise BadRequest(reason="the range of the date shift is empty")
    try:
        secret = bytes.fromhex(request.secret)
    except ValueError:
        secret = b""
    if len(secret) < 16:
        raise BadRequest(reason="the secret is too short")
    return secret


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the survey of some files found."""

    identity: Identity
    over_89: bool
    study_uid: bytes

    @classmethod
    def of_all(cls, parts: list["_Seen"]) -> "_Seen":
        """The survey of the whole study."""
        identity = Identity()
        for part in parts:
            identity.take(part.identity)
        study_uid = next((part.study_uid for part in parts if part.study_uid), b"")
        return cls(identity, any(part.over_89 for part in parts), study_uid)


def deidentify(request: DeidRequest, profile: Profile, draft: Path, progress: Progress) -> Written:
    """Writes every instance of the request below `draft`; raises errors of the room, and then nothing there is of use."""
    secret = check_request(request, profile)
    for folder in {file.series for file in request.files}:
        (draft / folder).mkdir(mode=0o700, parents=True, exist_ok=True)
    parts = [partial(_part, request, files, profile, secret, str(draft), progress) for files in shares(request.files)]
    written = in_parts(parts, _Seen.of_all)
    linking: dict[str, str] = {}
    actions: Counter[str] = Counter()
    for one in written:
        linking |= one.linking
        actions.update(one.actions)
    return Written(linking, dict(actions), any(one.over_89 for one in written))


def _part(
    request: DeidRequest, files: list[SourceFile], profile: Profile, secret: bytes, draft: str, progress: Progress
) -> Generator[_Seen, _Seen, Written]:
    """Some of the files: surveys them, then writes them knowing what was found in all."""
    reader, survey = Reader(), Survey(profile, request.given)
    study_uid = b""
    parts: list[PartTen] = []
    for number, file in enumerate(files):
        part = read_instance(reader, file)
        survey.add(part, file.instance)
        study_uid = study_uid or part.value(_STUDY_UID)
        part.fresh, part.fresh_meta = [], []
        parts.append(part)
        progress(number / len(files) * 0.3, "survey")
    study = yield _Seen(survey.identity, survey.over_89, study_uid)
    # Patients without any identifier share no pseudonym: their studies move on their own.
    person = request.pseudonym or "study/" + study.study_uid.decode("ascii", "replace")
    offset = date_offset(secret, person, profile.date_shift_range_days) if profile.shift_dates else timedelta()
    rewriter = Rewriter(profile, secret, offset, study.over_89, Scrubber(study.identity))
    for number, (file, part) in enumerate(zip(files, parts, strict=True)):
        _write(rewriter, part, file, f"{draft}/{output_path(file)}")
        progress(0.3 + number / len(files) * 0.4, "de-identify")
    return Written(rewriter.linking, rewriter.counted(), study.over_89)


def read_instance(reader: Reader, file: SourceFile) -> PartTen:
    """One source file; raises `UnreadableInstance`."""
    try:
        return reader.read(content_of(file.path), file.series)
    except Unparsable as fault:
        raise UnreadableInstance(instance=file.instance, reason=str(fault)) from None
    except OSError as fault:
        raise UnreadableInstance(instance=file.instance, reason=f"the file cannot be opened ({fault.errno})") from None


def content_of(path: str) -> bytes:
    """A whole file."""
    with open(path, "rb", buffering=0) as stream:
        return stream.read()


def source_bytes(part: PartTen, file: SourceFile) -> bytes:
    """The bytes that the ranges of a part's pixel data mean; raises `Unparsable`."""
    content = content_of(file.path)
    return inflated(content, len(part.meta_bytes)) if part.syntax == DEFLATED else content


def _write(rewriter: Rewriter, part: PartTen, file: SourceFile, target: str) -> None:
    try:
        layout = rewriter.layout(part)
        if part.syntax == DEFLATED:
            layout = [rewriter.file(part, source_bytes(part, file))]
        source = os.open(file.path, os.O_RDONLY | os.O_CLOEXEC)
    except Unparsable as fault:
        raise UnreadableInstance(instance=file.instance, reason=str(fault)) from None
    except OSError as fault:
        raise UnreadableInstance(instance=file.instance, reason=f"the file cannot be opened ({fault.errno})") from None
    output = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        _splice(source, output, layout)
    except EOFError:
        raise UnreadableInstance(instance=file.instance, reason="the file became shorter while it was read") from None
    finally:
        os.close(source)
        os.close(output)


def _splice(source: int, output: int, layout: list[bytes | Element]) -> None:
    """Writes bytes as they are and copies ranges of the source; large ones inside the kernel. Raises `EOFError`."""
    waiting: list[bytes] = []
    for one in layout:
        if not isinstance(one, Element):
            waiting.append(one)
        elif one.end - one.start < _COPIED_BY_THE_KERNEL:
            waiting.append(_range(source, one.start, one.end))
        else:
            _write_all(output, b"".join(waiting))
            waiting = []
            _copy(source, output, one.start, one.end)
    _write_all(output, b"".join(waiting))


def _copy(source: int, output: int, start: int, end: int) -> None:
    while start < end:
        try:
            copied = os.copy_file_range(source, output, end - start, start)
        except OSError:
            # Not between these two file systems; what is wrong with the disk itself, the plain way will say.
            for begin in range(start, end, _COPIED_BY_THE_KERNEL):
                _write_all(output, _range(source, begin, min(end, begin + _COPIED_BY_THE_KERNEL)))
            return
        if not copied:
            raise EOFError
        start += copied


def _range(source: int, start: int, end: int) -> bytes:
    found = os.pread(source, end - start, start)
    if len(found) != end - start:
        raise EOFError
    return found


def _write_all(output: int, content: bytes) -> None:
    written = os.write(output, content)
    while written < len(content):
        written += os.write(output, memoryview(content)[written:])
