"""De-identifies all files of a study into a draft folder, or none: survey first, then rewrite."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from appliance.deidentify.errors import BadRequest, UnreadableInstance
from appliance.deidentify.passport import DeidRequest, SourceFile
from appliance.deidentify.profile import Profile
from appliance.deidentify.replacements import date_offset
from appliance.deidentify.rewrite import Rewriter
from appliance.deidentify.scrub import Scrubber
from appliance.deidentify.splice import PartTen, Unparsable, read
from appliance.deidentify.survey import Survey

Progress = Callable[[float, str], None]
_IDENTIFIER = re.compile(r"^[A-Za-z0-9_-]{1,64}$")
_STUDY_UID = 0x0020000D


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


def deidentify(request: DeidRequest, profile: Profile, draft: Path, progress: Progress) -> Written:
    """Writes every instance of the request below `draft`; raises errors of the room, and then nothing there is of use."""
    secret = check_request(request, profile)
    survey = Survey(profile, request.given)
    study_uid = b""
    for number, file in enumerate(request.files):
        part = _read(file)
        survey.add(part, file.instance)
        study_uid = study_uid or next((part.body[one.value : one.stop] for one in part.elements if one.tag == _STUDY_UID), b"")
        progress(number / len(request.files) * 0.3, "survey")
    # Patients without any identifier share no pseudonym: their studies move on their own.
    person = request.pseudonym or "study/" + study_uid.decode("ascii", "replace")
    offset = date_offset(secret, person, profile.date_shift_range_days) if profile.shift_dates else timedelta()
    rewriter = Rewriter(profile, secret, offset, survey.over_89, Scrubber(survey.identity))
    for number, file in enumerate(request.files):
        _write(rewriter, file, draft / output_path(file))
        progress(0.3 + number / len(request.files) * 0.4, "de-identify")
    return Written(rewriter.linking, {str(name): count for name, count in rewriter.actions.items()}, survey.over_89)


def _read(file: SourceFile) -> PartTen:
    try:
        return read(Path(file.path).read_bytes())
    except Unparsable as fault:
        raise UnreadableInstance(instance=file.instance, reason=str(fault)) from None
    except OSError as fault:
        raise UnreadableInstance(instance=file.instance, reason=f"the file cannot be opened ({fault.errno})") from None


def _write(rewriter: Rewriter, file: SourceFile, target: Path) -> None:
    try:
        content = rewriter.file(_read(file))
    except Unparsable as fault:
        raise UnreadableInstance(instance=file.instance, reason=str(fault)) from None
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.write_bytes(content)
    target.chmod(0o600)
