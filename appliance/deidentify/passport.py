"""What de-identification is asked, what it answers, and the type that only the verifier can make."""

from pathlib import Path
from typing import Any, final

import msgspec

from appliance.deidentify.search import Wanted


class SourceFile(msgspec.Struct, kw_only=True, frozen=True):
    """One original instance."""

    instance: str
    series: str
    path: str


class Source(msgspec.Struct, kw_only=True, frozen=True):
    """What the study's source said that it holds, beside what was here when this copy was made."""

    expected: int | None
    """None: the source was asked and could not say."""
    held: int

    @property
    def words(self) -> str:
        """As in `312 of 312 instances`, or with what is missing."""
        if self.expected is None:
            return f"{self.held} instances; the source could not say how many it holds"
        missing = max(0, self.expected - self.held)
        return f"{self.held} of {self.expected} instances" + (f", {missing} missing" if missing else "")


class DeidRequest(msgspec.Struct, kw_only=True, frozen=True):
    """Everything a run needs; `secret` is the derived key of UIDs and date offsets, hexadecimal."""

    order: str
    files: list[SourceFile]
    out_folder: str
    pseudonym: str
    secret: str
    section: dict[str, Any]
    """`appliance.deidentify.section.DeidentifySection` as plain JSON."""
    given: dict[str, str] = {}
    """Age and sex that go before the header's, if any."""
    signing_seed: str = ""
    """Of the key that signs the passport, 32 bytes hexadecimal; without it the passport is not signed."""
    source: Source | None = None
    """None when no source was asked."""


class Residue(msgspec.Struct, kw_only=True, frozen=True):
    """Something the verifier found in the output: where, never what."""

    instance: str
    place: str
    rule: str


class OutputFile(msgspec.Struct, kw_only=True, frozen=True):
    """One file that may leave."""

    path: str
    """Below the out-folder; made of our own identifiers."""
    bytes: int
    sha256: str


class MaskedRegion(msgspec.Struct, kw_only=True, frozen=True):
    """A rectangle of one frame where text was drawn, in pixels; right and bottom are the first outside it."""

    instance: str
    frame: int
    left: int
    top: int
    right: int
    bottom: int


class Passport(msgspec.Struct, kw_only=True, frozen=True):
    """The proof that goes with a de-identified study."""

    order: str
    profile: str
    profile_version: str
    instances: int
    files: list[OutputFile]
    residues: list[Residue]
    actions: dict[str, int]
    """How often each action was taken (removed, replaced, shifted, scrubbed, kept)."""
    notes: list[str]
    date_offset_applied: bool
    settings: dict[str, Any]
    masked: list[MaskedRegion] = []
    """Where pixels were blackened; all others are those of the source."""
    source: Source | msgspec.UnsetType = msgspec.UNSET
    """Left out of the document when no source was asked, as passports of before are: their signatures hold."""
    public_key: str = ""
    """Ed25519, hexadecimal."""
    signature: str = ""
    """Over this object with an empty signature, as JSON with sorted keys."""

    @property
    def clean(self) -> bool:
        """Whether the study may leave."""
        return not self.residues

    @property
    def images(self) -> list[str]:
        """The names of the DICOM files; none when the study came as NIfTI."""
        return [one.path for one in self.files if one.path.endswith(".dcm")]


class DeidAnswer(msgspec.Struct, kw_only=True, frozen=True):
    """The passport, and the linking table and the patient's values, which the caller seals."""

    passport: Passport
    linking: dict[str, str]
    wanted: Wanted
    """What the verifier looked for: also looked for in whatever is made of the study and leaves without the identity."""


@final
class Released:
    """A de-identified folder that the verifier has passed; cloud, image delivery and products take this, not a path.

    Only `appliance.deidentify.verifier.release` makes one.
    """

    __slots__ = ("folder", "passport")

    folder: Path
    passport: Passport

    def __init__(self, *_: object) -> None:
        raise TypeError("Released is made by the verifier alone")
