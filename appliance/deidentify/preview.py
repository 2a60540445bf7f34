"""What a profile would do to a study, attribute by attribute, without anything written: the what-if of the console."""

from collections.abc import Callable
from datetime import timedelta

import msgspec

from appliance.deidentify.checks import written
from appliance.deidentify.dictionary import keyword
from appliance.deidentify.engine import check_request, content_of, read_instance, source_bytes
from appliance.deidentify.passport import DeidRequest, SourceFile
from appliance.deidentify.pieces import PartTen, Reader
from appliance.deidentify.profile import PIXEL_TAGS, VERSION, Profile
from appliance.deidentify.replacements import date_offset
from appliance.deidentify.rewrite import Rewriter
from appliance.deidentify.scrub import Scrubber
from appliance.deidentify.survey import Survey
from appliance.deidentify.walker import Leaf, walk
from appliance.errors import Failed, NeedsPerson

_LONGEST = 200
_ADDED = "the output says how it was de-identified"
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "US", "SS", "UL", "SL", "FL", "FD", "AT", "SV", "UV"})


class Line(msgspec.Struct, kw_only=True, frozen=True):
    """One attribute of one instance before and after; both may hold patient values and are shown, never stored."""

    series: str
    instance: str
    place: str
    name: str
    """Keyword of the standard; empty for private attributes."""
    vr: str
    action: str
    reason: str
    before: str | None
    """None: the attribute is added."""
    after: str | None
    """None: the attribute goes."""


class Staying(msgspec.Struct, kw_only=True, frozen=True):
    """A series that would not leave at all, and why."""

    series: str
    code: str
    what: str


class Preview(msgspec.Struct, kw_only=True, frozen=True):
    """What would happen to the first instance of each series."""

    profile: str
    profile_version: str
    lines: list[Line]
    staying: list[Staying]


def run(request: DeidRequest, progress: Callable[[float, str], None]) -> Preview:
    """The stage `deidentify-preview`; writes nothing."""
    profile = Profile.of(request.section)
    staying: list[Staying] = []
    lines = preview(request, staying=staying)
    progress(1.0, "preview")
    return Preview(profile=profile.name, profile_version=VERSION, lines=lines, staying=staying)


def preview(request: DeidRequest, *, staying: list[Staying] | None = None) -> list[Line]:
    """The first instance of each series; identity is gathered over all files as a real run does. Raises the room's errors.

    With `staying`, a series that the engine refuses is put there instead of raising.
    """
    profile = Profile.of(request.section)
    secret = check_request(request, profile)
    reader, survey = Reader(), Survey(profile, request.given)
    first: dict[str, tuple[SourceFile, PartTen]] = {}
    refused: set[str] = set()
    for file in request.files:
        if file.series in refused:
            continue
        try:
            part = read_instance(reader, file)
            survey.add(part, file.instance)
        except (Failed, NeedsPerson) as error:
            if staying is None:
                raise
            staying.append(Staying(series=file.series, code=error.code, what=error.what))
            refused.add(file.series)
            continue
        first.setdefault(file.series, (file, part))
    person = request.pseudonym or "preview"
    offset = date_offset(secret, person, profile.date_shift_range_days) if profile.shift_dates else timedelta()
    rewriter = Rewriter(profile, secret, offset, survey.over_89, Scrubber(survey.identity))
    lines: list[Line] = []
    for series, (file, part) in first.items():
        if series not in refused:
            output = rewriter.file(part, source_bytes(part, file))
            lines += _compared(file, profile, walk(content_of(file.path)).leaves, walk(output).leaves)
    return lines


def _compared(file: SourceFile, profile: Profile, before: list[Leaf], after: list[Leaf]) -> list[Line]:
    new = {leaf.place: leaf for leaf in after}
    old = {leaf.place for leaf in before}
    lines = []
    for leaf in [*before, *(one for one in after if one.place not in old)]:
        if leaf.tag in PIXEL_TAGS and len(leaf.place) == 1:
            continue
        private = bool(leaf.tag >> 16 & 1)
        rule = None if private else profile.rule(leaf.tag, leaf.vr)
        result, added = new.get(leaf.place), leaf.place not in old
        action = str(rule.action) if rule else "keep" if result else "remove"
        reason = rule.reason if rule else "private: kept only when listed by its creator"
        lines.append(
            Line(
                series=file.series,
                instance=file.instance,
                place=written(leaf.place),
                name="" if private else keyword(leaf.tag),
                vr=leaf.vr,
                action="add" if added else action,
                reason=_ADDED if added else reason,
                before=None if added else _shown(leaf),
                after=None if result is None else _shown(result),
            )
        )
    return lines


def _shown(leaf: Leaf) -> str:
    if leaf.items >= 0:
        return f"{leaf.items} items"
    if leaf.vr in _BINARY:
        return f"{len(leaf.value)} bytes"
    return leaf.value.decode("utf-8", "replace").strip("\0 ")[:_LONGEST]
