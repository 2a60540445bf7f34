"""The answers of the API about de-identification."""

from tui.contract import Answer


class PreviewLine(Answer, frozen=True, kw_only=True):
    """One attribute before and after; None where it is not there."""

    series: str = ""
    place: str = ""
    name: str = ""
    action: str = ""
    reason: str = ""
    before: str | None = None
    after: str | None = None


class Staying(Answer, frozen=True, kw_only=True):
    """A series that would not leave."""

    series: str = ""
    what: str = ""


class Preview(Answer, frozen=True, kw_only=True):
    """What would happen to a study."""

    profile: str = ""
    profile_version: str = ""
    lines: list[PreviewLine] = []
    staying: list[Staying] = []


class Residue(Answer, frozen=True, kw_only=True):
    """Where something is."""

    instance: str = ""
    place: str = ""
    rule: str = ""


class Recheck(Answer, frozen=True, kw_only=True):
    """Whether a passport still holds."""

    order: str = ""
    good: bool = False
    genuine: bool = False
    unchanged: bool = False
    remark: str = ""
    residues: list[Residue] = []

    def fields(self) -> list[tuple[str, str]]:
        """The verdict in lines."""
        return [
            ("Order", self.order),
            ("Verdict", "still proven" if self.good else "NOT as verified"),
            ("Signature", "genuine" if self.genuine else "not of this appliance, or the passport was changed"),
            ("Files", "unchanged" if self.unchanged else "changed or missing"),
            ("Findings", str(len(self.residues)) if self.residues else "none"),
            *([("Remark", self.remark)] if self.remark else []),
        ]


class Source(Answer, frozen=True, kw_only=True):
    """What the study's source said that it holds; None when it could not say."""

    expected: int | None = None
    held: int = 0

    @property
    def words(self) -> str:
        """The figure in words."""
        return f"{self.held:,} instances of {'an unknown number' if self.expected is None else f'{self.expected:,}'}"


class Passport(Answer, frozen=True, kw_only=True):
    """What the console shows of a passport."""

    order: str = ""
    profile: str = ""
    profile_version: str = ""
    instances: int = 0
    residues: list[Residue] = []
    actions: dict[str, int] = {}
    notes: list[str] = []
    source: Source | None = None
    signature: str = ""


class Link(Answer, frozen=True, kw_only=True):
    """One UID and the one in its place."""

    original: str = ""
    new: str = ""


class Linking(Answer, frozen=True, kw_only=True):
    """The linking table of a study."""

    links: list[Link] = []
