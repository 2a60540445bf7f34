"""The page that prints the de-identification profiles from their tables; see `tables`."""

from collections.abc import Iterator

from pydicom.datadict import keyword_for_tag

from appliance.deidentify import ps315
from appliance.deidentify.dictionary import dictionary_vr
from appliance.deidentify.private_tags import ALLOWED
from appliance.deidentify.profile import BY_VR, GROUPS, Profile
from appliance.deidentify.rules import Rule
from appliance.deidentify.table import TABLE

INTRODUCTION = """# De-identification: the tables

What is done with every attribute, and why, as engine and verifier read it. In words: [De-identification](deidentification.md).
"""


def _lines(head: tuple[str, ...], rows: Iterator[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines) + "\n"


def _tag(tag: int) -> str:
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def _row(first: str, second: str, rule: Rule) -> tuple[str, ...]:
    return first, second, str(rule.action), rule.reason


def page() -> str:
    """All tables."""
    profile = Profile.of({"profile": "ps3.15-basic"})
    by_tag = (_row(_tag(tag), keyword_for_tag(tag), TABLE[tag]) for tag in sorted(TABLE))
    by_group = (_row(f"({group:04X},....)", "all others", rule) for group, rule in sorted(GROUPS.items()))
    by_vr = (_row(vr, "all others of this kind", rule) for vr, rule in sorted(BY_VR.items()))
    private = (
        (f"({group:04X},xx..)", creator, " ".join(f"{number:02X}" for number in sorted(numbers)))
        for (group, creator), numbers in sorted(ALLOWED.items())
    )
    standard = (
        _row(_tag(tag), keyword_for_tag(tag), profile.rule(tag, dictionary_vr(tag).split(" or ")[0]))
        for tag in sorted(ps315.listed())
        if dictionary_vr(tag)
    )
    head = ("attribute", "keyword", "action", "why")
    return "\n".join(
        [
            INTRODUCTION,
            "## The table of the Safe Harbor profiles\n",
            _lines(head, iter([*by_tag, *by_group, *by_vr])),
            "## Private attributes that stay\n",
            "All other private attributes go. Those that stay are scrubbed like any other.\n",
            _lines(("group", "creator", "elements"), private),
            "## The profile `ps3.15-basic`\n",
            _lines(head, standard),
        ]
    )
