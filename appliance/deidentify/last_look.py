"""The last look at what leaves without the patient's identity: the verifier's search, over documents instead of DICOM files.

What is looked for are the values that the verifier took from the source of the study. Own words of the appliance's reports and
what its settings print (the site's name) are no finding when they stand alone: a patient may be called Page.
"""

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from appliance import errors
from appliance.deidentify.documents import Part, Unreadable, parts
from appliance.deidentify.passport import Residue, SourceFile
from appliance.deidentify.search import Forms, Needle, Search, Wanted, forms_of, stands_in

_SPEAKING = ("reports", "qc", "products")
"""Rooms whose sentences stand in what leaves."""
_MOST = 50


class IdentityFound(errors.NeedsPerson):
    """What was to leave without the patient's identity holds some of it in {count} places, the first is {place} ({rule})."""

    code = "identity-found"
    next_step = (
        "Nothing was sent. Look at the named place: a name that somebody typed (as the reason of a bypass) or that a product "
        "wrote; run the study again without it."
    )

    @classmethod
    def of(cls, found: "list[Residue]") -> "IdentityFound":
        """The error of these findings."""
        return cls(count=len(found), place=found[0].place, rule=found[0].rule)


class Sought(msgspec.Struct, kw_only=True, frozen=True):
    """What to look for, and what is known to be no identity."""

    known: list[Wanted] = []
    """Of studies that were de-identified."""
    files: list[SourceFile] = []
    """Originals of a study that never was: their values are gathered now."""
    section: dict[str, Any] = {}
    """Of the settings, for `files`."""
    spared: list[str] = []
    """Texts that settings print, or that name who did something here."""
    days: list[str] = []
    """Days on which we made what leaves, as YYYYMMDD."""

    @property
    def empty(self) -> bool:
        """Whether nothing is known of anybody."""
        return not self.known and not self.files


class Look:
    """Searches documents for the values of one study or of several."""

    def __init__(self, sought: Sought) -> None:
        wanted = _gathered(sought)
        for one in sought.known:
            wanted.take(one)
        wanted.dates -= set(sought.days)
        self._search = Search(wanted)
        self._spared = [forms_of(one) for one in sought.spared if one.strip()]

    def residues(self, content: bytes, name: str) -> list[Residue]:
        """Everything found in one document; `name` says which. One that cannot be read is a finding as well."""
        found: list[Residue] = []
        try:
            for part in parts(content, name):
                rules = list(self._rules(part))
                # A key of a document may itself be a value: then only the document is named.
                place = name if rules and any(self._rules(Part("", part.place))) else part.place
                found += [Residue(instance="", place=place, rule=rule) for rule in rules]
        except Unreadable as fault:
            place, _, why = str(fault).partition(": ")
            found.append(Residue(instance="", place=place, rule=why))
        return _distinct(found)

    def in_text(self, text: str, name: str) -> list[Residue]:
        """The same for a text."""
        return _distinct([Residue(instance="", place=name, rule=rule) for rule in self._rules(Part(name, text))])

    def _rules(self, part: Part) -> Iterator[str]:
        if part.content:
            if self._search.in_bytes(part.content):
                yield "identity: bytes"
            return
        for needle in self._search.in_document(part.text):
            if not any(stands_in(needle, *forms, technical=True) for forms in self._spared) and not _ours(needle):
                yield f"identity: {needle.kind}"
        yield from sorted(self._search.besides(part.text))


def look(sought: Sought, files: Iterable[tuple[str, Path]]) -> dict[str, str]:
    """SHA-256 by name of files that hold nothing of what is sought; raises `IdentityFound`."""
    eye = Look(sought)
    found: list[Residue] = []
    passed: dict[str, str] = {}
    for name, path in files:
        content = path.read_bytes()
        found += eye.residues(content, name)
        passed[name] = hashlib.sha256(content).hexdigest()
    if found:
        raise IdentityFound.of(found)
    return passed


def storable(wanted: Wanted) -> bytes:
    """What is kept, sealed, of a study's values; its UIDs stand in the linking table already."""
    return msgspec.json.encode(Wanted(wanted.values, wanted.spellings, wanted.machine, set(), wanted.dates, wanted.too_short))


def stored(kept: bytes, uids: Iterable[str]) -> Wanted:
    """The values again, with the study's UIDs."""
    found = msgspec.json.decode(kept, type=Wanted)
    found.uids = {one.encode() for one in uids}
    return found


def _distinct(found: list[Residue]) -> list[Residue]:
    return list({(one.place, one.rule): one for one in found}.values())[:_MOST]


def _gathered(sought: Sought) -> Wanted:
    """The values of originals; files that cannot be walked to their end tell what can be had of the others."""
    if not sought.files:
        return Wanted()
    from appliance.deidentify.gathering import Gathering
    from appliance.deidentify.outline import Outliner
    from appliance.deidentify.profile import Profile
    from appliance.deidentify.walker import Unaccounted

    gathering, outliner = Gathering(Profile.of(sought.section), {}), Outliner()
    for file in sought.files:
        try:
            gathering.add(outliner.outline(Path(file.path).read_bytes(), file.series))
        except (Unaccounted, OSError):
            continue
    return gathering.wanted


def _ours(needle: Needle) -> bool:
    """Whether a sentence of our own holds a value just so."""
    words = needle.spaced.split() or [needle.compact]
    files = (file for file, folded in _sources() if all(word in folded for word in words))
    return any(stands_in(needle, *forms, technical=True) for file in files for forms in _sentences(file))


@lru_cache(maxsize=1)
def _sources() -> tuple[tuple[Path, str], ...]:
    """The code of the rooms that speak, in small letters."""
    house = Path(__file__).parents[1]
    files = [house / "reporting.py", *(one for room in _SPEAKING for one in sorted((house / room).rglob("*.py")))]
    return tuple((file, file.read_text("utf-8").casefold()) for file in files)


@lru_cache(maxsize=1024)
def _sentences(file: Path) -> tuple[Forms, ...]:
    """Every text in a piece of code, docstrings of functions and modules left out."""
    tree = ast.parse(file.read_bytes())
    silent = {id(text) for node in ast.walk(tree) if (text := _docstring(node)) is not None}
    texts = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in silent)
    return tuple(forms_of(one) for one in dict.fromkeys(texts) if isinstance(one, str))


def _docstring(node: ast.AST) -> ast.Constant | None:
    """A class's docstring is what an error says."""
    if not isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef) or not node.body:
        return None
    first = node.body[0]
    return first.value if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) else None
