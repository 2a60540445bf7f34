"""The independent proof: reads source and output by its own means, and passes the output or says what is left in it.

`release` is the only maker of `Released`; it runs in the worker, needs no DICOM library, and believes the disk only.
"""

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from appliance.deidentify.charsets import texts
from appliance.deidentify.checks import Checks
from appliance.deidentify.errors import NotAsVerified, NotClean
from appliance.deidentify.outline import Outline, Outliner
from appliance.deidentify.passport import DeidRequest, MaskedRegion, OutputFile, Passport, Released, Residue, SourceFile
from appliance.deidentify.profile import BIRTH_DATE, IDENTIFYING, STANDARD_ROOT, TEXT_VRS, Profile
from appliance.deidentify.rules import Action, Kind
from appliance.deidentify.search import Search, Wanted
from appliance.deidentify.walker import Leaf, Unaccounted

Progress = Callable[[float, str], None]
MOST_RESIDUES = 1000
_AGE, _STUDY_DATE, _CHARSET = 0x00101010, 0x00080020, 0x00080005
_MACHINE = frozenset({0x00080070, 0x00081090})
_TITLES = frozenset({0x00020016, 0x00020017, 0x00020018})


_DRAWN = {
    "declared": "Text drawn into the pixels is not looked for; instances that declare it are refused.",
    "block": "Bright text drawn into the pixels was looked for by OCR, and none was found; faint or dark text is not seen.",
    "mask": "Bright text drawn into the pixels was looked for by OCR and blackened; faint or dark text is not seen.",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the verifier found."""

    files: list[OutputFile]
    residues: list[Residue]
    notes: list[str]


def verify(
    request: DeidRequest, profile: Profile, folder: Path, progress: Progress, masked: Sequence[MaskedRegion] = ()
) -> Verdict:
    """Compares every output file with its source and searches it for every identifying value of all of them.

    `masked` are the only pixels that may differ, and must be zero. Residues name instance, place and rule; a source that cannot
    be walked is a residue as well.
    """
    gathering, outliner = _Gathering(profile, request.given), Outliner()
    for number, file in enumerate(request.files):
        # What cannot be read here is a residue below, where every source is read again.
        with contextlib.suppress(Unaccounted, OSError):
            gathering.add(outliner.outline(_content(file.path)))
        progress(0.7 + 0.1 * number / len(request.files), "verify")
    search = Search(gathering.wanted)
    checks = Checks(profile, search, gathering.wanted.uids, over_89=gathering.over_89)
    regions: dict[str, list[MaskedRegion]] = {}
    for region in masked:
        regions.setdefault(region.instance, []).append(region)
    expected = {f"{file.series}/{file.instance}.dcm": file for file in request.files}
    files: list[OutputFile] = []
    residues = [Residue(instance="", place="folder", rule=rule) for rule in _strangers(folder, set(expected))]
    for number, (name, file) in enumerate(expected.items()):
        found = _one(folder / name, name, file, checks, outliner, files, regions.get(file.instance, []))
        residues += [Residue(instance=file.instance, place=place, rule=rule) for rule, place in found]
        progress(0.8 + 0.2 * number / len(expected), "verify")
    return Verdict(files, residues[:MOST_RESIDUES], _notes(profile, gathering.wanted, search))


def _one(
    path: Path,
    name: str,
    file: SourceFile,
    checks: Checks,
    outliner: Outliner,
    files: list[OutputFile],
    masked: Sequence[MaskedRegion],
) -> list[tuple[str, str]]:
    try:
        content = _content(path)
    except OSError:
        return [("file is missing", "file")]
    files.append(OutputFile(path=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))
    try:
        source = outliner.outline(_content(file.path))
    except Unaccounted as fault:
        return [(f"source: {fault}", "file")]
    except OSError:
        return [("source: the file cannot be opened", "file")]
    try:
        return checks.file(source, outliner.outline(content), masked)
    except Unaccounted as fault:
        return [(str(fault), "file")]


def _content(path: Path | str) -> bytes:
    with open(path, "rb", buffering=0) as stream:
        return stream.read()


def _strangers(folder: Path, expected: set[str]) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or (not path.is_dir() and str(path.relative_to(folder)) not in expected):
            yield "file is not expected"
        elif path.is_dir() and not any(name.startswith(str(path.relative_to(folder)) + "/") for name in expected):
            yield "folder is not expected"


class _Gathering:
    """Reads what identifies out of the source."""

    def __init__(self, profile: Profile, given: dict[str, str]) -> None:
        self.wanted = Wanted()
        self.over_89 = _years(given.get("age", "").encode()) > 89
        self._profile = profile
        self._seen: set[tuple[int, str, bytes, bytes]] = set()
        self._opened: dict[tuple[str, bytes], set[bytes]] = {}

    def add(self, source: Outline) -> None:
        """Takes the values of one source file; raises `Unaccounted`."""
        for leaf in source.meta:
            if leaf.tag in _TITLES:
                self.wanted.value(leaf.value.decode("latin-1"), Kind.IDENTIFIER)
            self._take(leaf, b"")
        opened = self._opened.setdefault((source.syntax, source.parts.get(_CHARSET, b"")), set())
        fresh = set(source.parts.values()) - opened
        opened |= fresh
        aged = False
        for part in fresh:
            charset = source.charset
            leaves = source.opened(part)
            aged = aged or leaves[0].tag in (_AGE, BIRTH_DATE, _STUDY_DATE)
            for leaf in leaves:
                if leaf.tag == _CHARSET:
                    charset = leaf.value.strip(b"\0 ")
                self._take(leaf, charset)
        if aged:
            self._ages(source)

    def _ages(self, source: Outline) -> None:
        self.over_89 = self.over_89 or _years(source.value(_AGE)) > 89
        birth, day = (source.value(tag).decode("latin-1").strip("\0 ").replace(".", "") for tag in (BIRTH_DATE, _STUDY_DATE))
        if len(birth) == len(day) == 8 and (birth + day).isdigit():
            self.over_89 = self.over_89 or int(day[:4]) - int(birth[:4]) - (day[4:] < birth[4:]) > 89

    def _take(self, leaf: Leaf, charset: bytes) -> None:
        key = (leaf.tag, leaf.vr, leaf.value, charset)
        if not leaf.value or key in self._seen:
            return
        self._seen.add(key)
        if leaf.vr == "UI":
            own = {uid for uid in leaf.value.rstrip(b"\0 ").split(b"\\") if uid and not uid.startswith(STANDARD_ROOT)}
            if leaf.tag not in (0x00080016, 0x00020012, 0x0008010C, 0x00080117, 0x00080118):
                self.wanted.uids |= own
        elif leaf.vr in ("DA", "DT"):
            days = (part.strip().replace(".", "")[:8] for part in leaf.value.decode("latin-1").strip("\0 ").split("\\"))
            self.wanted.dates |= {day for day in days if len(day) == 8 and day.isdigit()}
        elif leaf.vr in TEXT_VRS:
            self._text(leaf, charset)

    def _text(self, leaf: Leaf, charset: bytes) -> None:
        readings = [text for reading in texts(leaf.value, charset) for text in reading.strip("\0 ").split("\\")]
        if leaf.vr == "PN":
            for text in readings:
                self.wanted.name(text)
        elif leaf.tag in _MACHINE:
            words = "".join(letter if letter.isalnum() else " " for text in readings for letter in text.casefold() + " ")
            self.wanted.machine.update(words.split())
        elif not leaf.tag >> 16 & 1 and leaf.tag >> 16 != 2:
            rule = self._profile.rule(leaf.tag, leaf.vr)
            if rule.kind is Kind.NAME:
                for text in readings:
                    self.wanted.name(text)
            elif rule.kind in IDENTIFYING and rule.action in (Action.REMOVE, Action.EMPTY, Action.MASK, Action.DUMMY):
                for text in readings:
                    self.wanted.value(text, rule.kind)


def _years(age: bytes) -> int:
    text = age.decode("latin-1").strip("\0 +").upper()
    figures = text.rstrip("DWMY")
    if not figures.isdigit():
        return 0
    return int(int(figures) / {"D": 365.25, "W": 52.18, "M": 12.0}.get(text[-1], 1.0))


def _notes(profile: Profile, wanted: Wanted, search: Search) -> list[str]:
    notes = [_DRAWN[profile.drawn_text]]
    if profile.shift_dates:
        notes.append("Dates are shifted, not removed: by the letter this is not Safe Harbor.")
    if wanted.too_short:
        notes.append(f"{wanted.too_short} values were too short to be looked for alone.")
    if search.left_out:
        notes.append(f"{search.left_out} names of places are words of the trade or of the machine and were not looked for.")
    return notes


def release(folder: Path, passport: Passport) -> Released:
    """Passes a de-identified folder on, when its passport is clean and its files are exactly those of the passport.

    Raises `NotClean` or `NotAsVerified`.
    """
    if not passport.clean:
        raise NotClean(residues=len(passport.residues))
    if folder.is_symlink() or not folder.is_dir():
        raise NotAsVerified(reason="the folder is missing")
    expected = {file.path: file for file in passport.files}
    if not expected or len(expected) != len(passport.files) or len(expected) != passport.instances:
        raise NotAsVerified(reason="the passport does not name its files")
    if any(True for _ in _strangers(folder, set(expected))):
        raise NotAsVerified(reason="there is a file that the passport does not name")
    for name, file in expected.items():
        path = folder / name
        if not path.is_file() or path.stat().st_size != file.bytes:
            raise NotAsVerified(reason="a file is missing or has another size")
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, "sha256").hexdigest() != file.sha256:
                raise NotAsVerified(reason="a file has another content")
    released = object.__new__(Released)
    released.folder = folder
    released.passport = passport
    return released
