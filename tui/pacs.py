"""What the API says about PACS nodes: which there are, what they hold, how far pulls are; and what they are asked."""

from urllib.parse import quote

import msgspec

from tui.contract import Answer

ENDED = frozenset({"DONE", "FAILED", "CANCELLED"})


class NodeView(Answer, frozen=True, kw_only=True):
    """One configured node; `retrieve` is move, get or wado."""

    name: str
    host: str = ""
    port: int = 0
    called_ae: str = ""
    retrieve: str = ""
    completeness: str = ""
    tls: bool = False

    @property
    def path(self) -> str:
        """Its address in the API."""
        return f"/api/nodes/{quote(self.name, safe='')}"

    @property
    def words(self) -> str:
        """How it gives studies, as people call it."""
        return {"move": "C-MOVE", "get": "C-GET", "wado": "DICOMweb"}.get(self.retrieve, self.retrieve)


class Sought(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a node is asked; the names are the API's."""

    level: str = "STUDY"
    patient_id: str = ""
    patient_name: str = ""
    accession: str = ""
    study_date: str = ""
    modality: str = ""
    description: str = ""
    pick: str = ""


class Found(Answer, frozen=True, kw_only=True):
    """One answer of a node; what names the patient comes only with a reveal."""

    pick: str = ""
    study: str | None = None
    modalities: str = ""
    instances: int | None = None
    series: int | None = None
    number: str = ""
    patient_name: str | None = None
    patient_id: str | None = None
    birth_date: str | None = None
    sex: str | None = None
    accession: str | None = None
    study_date: str | None = None
    description: str | None = None


class Answers(Answer, frozen=True, kw_only=True):
    """A page of answers."""

    items: list[Found] = []
    more: bool = False


class PullView(Answer, frozen=True, kw_only=True):
    """One pull."""

    pull: str
    node: str = ""
    state: str = ""
    reason: str = ""
    level: str = ""
    study: str | None = None
    remaining: int | None = None
    completed: int = 0
    failed: int = 0
    attempt: int = 0
    detail: str = ""
    owner: str = ""
    created_at: str | None = None

    @property
    def ended(self) -> bool:
        """Whether nothing more comes of it."""
        return self.state in ENDED

    @property
    def total(self) -> int | None:
        """How many instances it is about, once the node has said so."""
        return None if self.remaining is None else self.remaining + self.completed + self.failed


class PullList(Answer, frozen=True, kw_only=True):
    """The newest pulls."""

    items: list[PullView] = []
