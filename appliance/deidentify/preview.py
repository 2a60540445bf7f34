"""What a profile would do to a study, attribute by attribute, without anything written: the what-if of the console."""

from datetime import timedelta

import msgspec

from appliance.deidentify.checks import written
from appliance.deidentify.engine import check_request, content_of, read_instance, source_bytes
from appliance.deidentify.passport import DeidRequest, SourceFile
from appliance.deidentify.pieces import PartTen, Reader
from appliance.deidentify.profile import PIXEL_TAGS, Profile
from appliance.deidentify.replacements import date_offset
from appliance.deidentify.rewrite import Rewriter
from appliance.deidentify.scrub import Scrubber
from appliance.deidentify.survey import Survey
from appliance.deidentify.walker import Leaf, walk

_LONGEST = 200
_BINARY = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN", "US", "SS", "UL", "SL", "FL", "FD", "AT", "SV", "UV"})


class Line(msgspec.Struct, kw_only=True, frozen=True):
    """One attribute of one instance before and after; both may hold patient values and are shown, never stored."""

    instance: str
    place: str
    vr: str
    action: str
    reason: str
    before: str
    after: str | None
    """None: the attribute goes."""


def preview(request: DeidRequest) -> list[Line]:
    """The first instance of each series; identity is gathered over all files as a real run does. Raises the room's errors."""
    profile = Profile.of(request.section)
    secret = check_request(request, profile)
    reader, survey = Reader(), Survey(profile, request.given)
    first: dict[str, tuple[SourceFile, PartTen]] = {}
    for file in request.files:
        part = read_instance(reader, file)
        survey.add(part, file.instance)
        first.setdefault(file.series, (file, part))
    person = request.pseudonym or "preview"
    offset = date_offset(secret, person, profile.date_shift_range_days) if profile.shift_dates else timedelta()
    rewriter = Rewriter(profile, secret, offset, survey.over_89, Scrubber(survey.identity))
    lines: list[Line] = []
    for file, part in first.values():
        output = rewriter.file(part, source_bytes(part, file))
        lines += _compared(file.instance, profile, walk(content_of(file.path)).leaves, walk(output).leaves)
    return lines


def _compared(instance: str, profile: Profile, before: list[Leaf], after: list[Leaf]) -> list[Line]:
    new = {leaf.place: leaf for leaf in after}
    lines = []
    for leaf in before:
        if leaf.tag in PIXEL_TAGS and len(leaf.place) == 1:
            continue
        private = bool(leaf.tag >> 16 & 1)
        rule = None if private else profile.rule(leaf.tag, leaf.vr)
        result = new.get(leaf.place)
        lines.append(
            Line(
                instance=instance,
                place=written(leaf.place),
                vr=leaf.vr,
                action=str(rule.action) if rule else "keep" if result else "remove",
                reason=rule.reason if rule else "private: kept only when listed by its creator",
                before=_shown(leaf),
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
