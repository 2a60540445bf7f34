"""The answers of the API that the console reads.

Every field has a default and unknown fields are passed over, so an API that is a little older or newer still shows.
"""

from typing import Any

import msgspec


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The base of all answers."""


class StudyRow(Answer, frozen=True, kw_only=True):
    """One study as the list shows it; holds nothing of the patient."""

    study: str
    version: int = 1
    order: str | None = None
    state: str = ""
    word: str = ""
    glyph: str = " "
    plain_glyph: str = " "
    percent: float | None = None
    step: str | None = ""
    qc: str = ""
    products: list[str] = []
    group: str | None = None
    received_at: str | None = None
    updated_at: str | None = None
    instances: int = 0
    series: int = 0
    has_accession: bool = False
    sender: str | None = ""
    needs_person: bool = False
    terminal: bool = False
    code: str | None = ""
    detail: str | None = ""
    delivery_failed: bool = False
    bypassed: bool = False
    priority: int = 0


class StudyPage(Answer, frozen=True, kw_only=True):
    """A page of the list."""

    items: list[StudyRow] = []
    next: str | None = None
    total: int = 0
    matched: int = 0
    total_exact: bool = True
    matched_exact: bool = True


class StudiesFound(Answer, frozen=True, kw_only=True):
    """The studies of an accession number or patient ID."""

    items: list[StudyRow] = []
    more: bool = False


class Series(Answer, frozen=True, kw_only=True):
    """One series of a study."""

    series: str
    number: int | None = None
    modality: str | None = ""
    label: str | None = ""
    instances: int = 0
    product_input: bool = False


class DeliveryView(Answer, frozen=True, kw_only=True):
    """One report on its way to one destination."""

    delivery: str
    report: str = ""
    destination: str = ""
    state: str = ""
    word: str = ""
    glyph: str = " "
    plain_glyph: str = ""
    attempt: int = 0
    answer: str | None = ""
    created_at: str | None = None
    sent_at: str | None = None


class ReportView(Answer, frozen=True, kw_only=True):
    """One report in all its formats."""

    report: str
    order: str = ""
    kind: str = ""
    version: int = 1
    formats: list[str] = []
    created_at: str | None = None


class RunView(Answer, frozen=True, kw_only=True):
    """One product's run on an order."""

    product: str
    version: str | int | None = ""
    state: str = ""
    code: str | None = ""
    detail: str | None = ""


class OrderView(Answer, frozen=True, kw_only=True):
    """One order with all that belongs to it."""

    order: str
    study: str = ""
    study_version: int = 1
    state: str = ""
    word: str = ""
    glyph: str = " "
    plain_glyph: str = " "
    terminal: bool = False
    retryable: bool = False
    needs_person: bool = False
    code: str | None = ""
    detail: str | None = ""
    advice: str | None = ""
    products: list[str] = []
    runs: list[RunView] = []
    percent: float | None = None
    step: str | None = ""
    stage: str | None = ""
    priority: int = 0
    attempt: int = 0
    qc_verdict: str | None = ""
    bypass_by: str | None = ""
    bypass_reason: str | None = ""
    metadata: dict[str, Any] | None = None
    created_at: str | None = None
    updated_at: str | None = None
    deliveries: list[DeliveryView] = []
    reports: list[ReportView] = []


class TimelineEntry(Answer, frozen=True, kw_only=True):
    """One event of a study."""

    at: str | None = None
    name: str = ""
    title: str = ""
    severity: str = "info"
    text: str = ""
    order: str | None = ""


class StudyDetail(StudyRow, frozen=True, kw_only=True):
    """A study with series, orders, events and reports."""

    study_state: str = ""
    quarantine: str = ""
    conflicts: int = 0
    series_list: list[Series] = []
    orders: list[OrderView] = []
    timeline: list[TimelineEntry] = []
    metadata: dict[str, Any] | None = None
    reports: list[ReportView] = []


class Finding(Answer, frozen=True, kw_only=True):
    """One check's result."""

    check: str = ""
    title: str = ""
    verdict: str = ""
    found: str = ""
    expected: str = ""
    action: str = ""
    picture: str = ""
    """Where its picture is fetched; empty where there is none."""
    caption: str = ""


class Repair(Answer, frozen=True, kw_only=True):
    """A wrong gradient table and what puts it right."""

    number: int | None = None
    words: str = ""
    before: float = 0.0
    after: float = 0.0
    consent: str = ""


class QcReport(Answer, frozen=True, kw_only=True):
    """All checks of an order."""

    verdict: str | None = ""
    findings: list[Finding] = []
    repairs: list[Repair] = []


class Value(Answer, frozen=True, kw_only=True):
    """One number of a report."""

    label: str = ""
    value: str | float | int | None = ""
    unit: str | None = ""


class ResultRow(ReportView, frozen=True, kw_only=True):
    """One report as the list shows it."""

    study: str = ""
    products: list[str] = []
    deliveries: list[DeliveryView] = []
    values: list[Value] = []


class ResultPage(Answer, frozen=True, kw_only=True):
    """A page of reports."""

    items: list[ResultRow] = []
    next: str | None = None
    total: int = 0
    matched: int | None = None


class Identity(Answer, frozen=True, kw_only=True):
    """Who a study belongs to; comes only from a reveal."""

    study: str
    patient_name: str | None = ""
    patient_id: str | None = ""
    birth_date: str | None = ""
    sex: str | None = ""
    accession: str | None = ""
    study_date: str | None = ""
    study_description: str | None = ""


class Identities(Answer, frozen=True, kw_only=True):
    """The answer of a reveal."""

    items: list[Identity] = []
    until: str | None = None


class Me(Answer, frozen=True, kw_only=True):
    """Who is signed in."""

    user: str = ""
    role: str = ""
    expires_at: str | None = None


class Process(Answer, frozen=True, kw_only=True):
    """One process of the appliance."""

    kind: str = ""
    pid: int | None = None
    started_at: str | None = None
    seen_at: str | None = None
    alive: bool = True


class Receive(Answer, frozen=True, kw_only=True):
    """Where studies are sent to."""

    ae_title: str = ""
    host: str = ""
    port: int = 0
    addresses: list[str] = []
    open_to_everybody: bool = False


class Counts(Answer, frozen=True, kw_only=True):
    """How many there are."""

    studies: int = 0
    orders: dict[str, int] = {}


class Queue(Answer, frozen=True, kw_only=True):
    """How much work there is."""

    waiting: int = 0
    running: int = 0
    urgent: int = 0
    expected_s: float | None = None

    @property
    def short_words(self) -> str:
        """What waits, and how long it will take."""
        urgent = f" ({self.urgent} urgent)" if self.urgent else ""
        return f"{self.waiting} waiting{urgent}" + ("" if self.expected_s is None else f", {_lasting(self.expected_s)}")

    @property
    def words(self) -> str:
        """The queue in one line."""
        urgent = f" ({self.urgent} urgent)" if self.urgent else ""
        if self.expected_s is None or not self.waiting + self.running:
            return f"{self.waiting} waiting{urgent}, {self.running} running"
        return f"{self.waiting} waiting{urgent}, {self.running} running, done in about {_lasting(self.expected_s)}"


def _lasting(seconds: float) -> str:
    minutes = round(seconds / 60)
    if minutes < 1:
        return "a minute"
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


class Status(Answer, frozen=True, kw_only=True):
    """The appliance as a whole."""

    site: str = ""
    version: str = ""
    time_zone: str = ""
    home_free_bytes: int = 0
    home_total_bytes: int = 0
    days_until_full: float | None = None
    now: str | None = None
    processes: list[Process] = []
    counts: Counts = Counts()
    receive: Receive = Receive()
    queue: Queue = Queue()
    paused: bool = False
    receiving_paused: bool = False
    delivery_paused: bool = False
    mode: str = ""
    limits: bool = True
    workers: int = 0
    cluster: str = ""

    @property
    def mode_words(self) -> str:
        """Where products run, and how many orders at once."""
        place = {"local": "on this appliance", "cloud": "in the cloud", "hub": "on the hub"}.get(self.mode, self.mode)
        where = f"on the cluster {self.cluster}" if self.cluster and self.mode == "local" else place
        return f"{where or '-'}, {self.workers} order{'s' * (self.workers != 1)} at once"


class HealthPart(Answer, frozen=True, kw_only=True):
    """One part of the appliance."""

    name: str = ""
    status: str = ""
    detail: str = ""


class Health(Answer, frozen=True, kw_only=True):
    """Whether the appliance is well."""

    status: str = ""
    parts: list[HealthPart] = []


class LiveEvent(Answer, frozen=True, kw_only=True):
    """One event of the live stream."""

    seq: int | None = None
    at: str | None = None
    name: str = ""
    severity: str = "info"
    title: str = ""
    text: str = ""
    study: str | None = ""
    order: str | None = ""
    body: dict[str, Any] = {}


class SettingsView(Answer, frozen=True, kw_only=True):
    """All settings as readers may see them."""

    version: int = 0
    settings: dict[str, dict[str, Any]] = {}
    saved_at: str | None = None
    saved_by: str | None = ""


class SettingsSaved(Answer, frozen=True, kw_only=True):
    """What a save changed."""

    version: int = 0
    changed: list[str] = []
    restart: list[str] = []


def tail(identifier: str | None) -> str:
    """The last eight digits of an identifier: our identifiers begin with the time, so only their ends differ at a glance."""
    return (identifier or "")[-8:]
