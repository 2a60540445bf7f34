"""The independent proof: reads source and output by its own means, and passes the output or says what is left in it.

`release` is the only maker of `Released`; it runs in the worker, needs no DICOM library, and believes the disk only.
"""

import hashlib
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from appliance.deidentify.checks import Checks, Finding, Moved, contradictions, envelope
from appliance.deidentify.crew import in_parts, shares
from appliance.deidentify.errors import NotAsVerified, NotClean
from appliance.deidentify.gathering import Gathering
from appliance.deidentify.ledger import Case, Entry, Ledger, context_of
from appliance.deidentify.outline import Outliner
from appliance.deidentify.passport import DeidRequest, MaskedRegion, OutputFile, Passport, Released, Residue, SourceFile
from appliance.deidentify.profile import Profile
from appliance.deidentify.search import Search, Wanted
from appliance.deidentify.walker import Unaccounted

Progress = Callable[[float, str], None]
MOST_RESIDUES = 1000
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
    wanted: Wanted
    """What was looked for."""


def verify(
    request: DeidRequest, profile: Profile, folder: Path, progress: Progress, masked: Sequence[MaskedRegion] = ()
) -> Verdict:
    """Compares every output file with its source and searches it for every identifying value of all of them.

    `masked` are the only pixels that may differ, and must be zero. Residues name instance, place and rule; a source that cannot
    be walked is a residue as well.
    """
    regions: dict[str, list[MaskedRegion]] = {}
    for region in masked:
        regions.setdefault(region.instance, []).append(region)
    parts = [partial(_part, request, files, profile, folder, regions, progress) for files in shares(request.files)]
    found = in_parts(parts, _Sought.of_all)
    expected = {output_name(file) for file in request.files}
    residues = [Residue(instance="", place="folder", rule=rule) for rule in _strangers(folder, expected)]
    residues += [one for part in found for one in part.residues]
    residues += [Residue(instance="", place="study", rule=rule) for rule in contradictions([part.moved for part in found])]
    return Verdict([one for part in found for one in part.files], residues[:MOST_RESIDUES], found[0].notes, found[0].wanted)


@dataclass(frozen=True, slots=True)
class _Sought:
    """What some source files tell of who the patient is."""

    wanted: Wanted
    over_89: bool

    @classmethod
    def of_all(cls, parts: list["_Sought"]) -> "_Sought":
        """What all of them tell."""
        whole = Wanted()
        for part in parts:
            whole.take(part.wanted)
        return cls(whole, any(part.over_89 for part in parts))


@dataclass(frozen=True, slots=True)
class _Checked:
    """What is wrong with some files, and how their UIDs and dates moved."""

    files: list[OutputFile]
    residues: list[Residue]
    notes: list[str]
    wanted: Wanted
    moved: Moved


def _part(
    request: DeidRequest,
    files: list[SourceFile],
    profile: Profile,
    folder: Path,
    masked: dict[str, list[MaskedRegion]],
    progress: Progress,
) -> Generator[_Sought, _Sought, _Checked]:
    reading = Reading(profile, request.given, folder)
    for number, file in enumerate(files):
        reading.take(file, masked.get(file.instance, []))
        progress(0.7 + 0.2 * number / len(files), "verify")
    study = yield _Sought(reading.gathering.wanted, reading.gathering.over_89)
    search = Search(study.wanted)
    checks = Checks(profile, search, study.wanted.uids, over_89=study.over_89)
    residues: list[Residue] = []
    for number, found in enumerate(reading.judged(checks)):
        residues += found
        progress(0.9 + 0.1 * number / len(files), "verify")
    return _Checked(reading.files, residues[:MOST_RESIDUES], _notes(profile, study.wanted, search), study.wanted, checks.moved)


def output_name(file: SourceFile) -> str:
    """Where the output of a source file has to be, below the folder."""
    return f"{file.series}/{file.instance}.dcm"


class Reading:
    """Source and output files, read once each; what is wrong with them is judged when all have been seen."""

    def __init__(self, profile: Profile, given: dict[str, str], folder: Path) -> None:
        self.gathering = Gathering(profile, given)
        self.files: list[OutputFile] = []
        self._folder = folder
        self._sources, self._outputs = Outliner(), Outliner()
        self._ledger = Ledger()
        self._entries: list[tuple[SourceFile, Entry | None, list[Finding]]] = []

    def take(self, file: SourceFile, masked: Sequence[MaskedRegion] = ()) -> None:
        """Reads one pair of files."""
        entry, found = None, list[Finding]()
        content = source = None
        name = output_name(file)
        try:
            content = _content(f"{self._folder}/{name}")
            self.files.append(OutputFile(path=name, bytes=len(content), sha256=hashlib.sha256(content).hexdigest()))
        except OSError:
            found.append(("file is missing", "file"))
        try:
            source = self._sources.outline(_content(file.path), file.series)
            self.gathering.add(source)
        except Unaccounted as fault:
            found.append((f"source: {fault}", "file"))
        except OSError:
            found.append(("source: the file cannot be opened", "file"))
        if content is not None and source is not None:
            try:
                output = self._outputs.outline(content, file.series)
                found += envelope(source, output, masked)
                entry = self._ledger.enter(source, output)
            except Unaccounted as fault:
                found.append((str(fault), "file"))
        self._entries.append((file, entry, found))

    def judged(self, checks: Checks) -> Iterator[list[Residue]]:
        """The residues of each file."""
        wrong = {number: found for number, case in enumerate(self._ledger.cases) if (found := _findings(checks, case))}
        groups = [[number for number in group if number in wrong] for group in self._ledger.groups]
        for file, entry, found in self._entries:
            if entry is not None:
                numbers = (*groups[entry.group], *entry.own)
                found += [one for number in numbers if number in wrong for one in wrong[number]]
                found += self._large(file, entry, checks)
            yield [Residue(instance=file.instance, place=place, rule=rule) for rule, place in found]

    def _large(self, file: SourceFile, entry: Entry, checks: Checks) -> list[Finding]:
        """Elements that were too large to be kept are read again."""
        if not entry.large:
            return []
        try:
            source = self._sources.outline(_content(file.path), file.series)
            output = self._outputs.outline(_content(f"{self._folder}/{output_name(file)}"), file.series)
        except (Unaccounted, OSError):
            return [("file changed while it was verified", "file")]
        context = context_of(source, output)
        cases = (Case(context, source.part(tag), output.part(tag)) for tag in entry.large)
        return [one for case in cases for one in _findings(checks, case)]


def _findings(checks: Checks, case: Case) -> list[Finding]:
    try:
        return checks.judge(case)
    except Unaccounted as fault:
        return [(str(fault), "data set")]


def _content(path: Path | str) -> bytes:
    with open(path, "rb", buffering=0) as stream:
        return stream.read()


def _strangers(folder: Path, expected: set[str]) -> Iterator[str]:
    for path in sorted(folder.rglob("*")):
        if path.is_symlink() or (not path.is_dir() and str(path.relative_to(folder)) not in expected):
            yield "file is not expected"
        elif path.is_dir() and not any(name.startswith(str(path.relative_to(folder)) + "/") for name in expected):
            yield "folder is not expected"


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
