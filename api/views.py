"""What the API answers about studies, orders and results: the shapes. How they are filled stands in `api.fill`."""

import msgspec

from appliance.moments import iso


def at(moment: int | None) -> str | None:
    """A moment as ISO 8601; none for 0."""
    return iso(moment) if moment else None


class View(msgspec.Struct, kw_only=True, frozen=True):
    """The base of all answers; times are ISO 8601 in UTC, or null."""


class DeliveryView(View, frozen=True, kw_only=True):
    """One report on its way to one destination."""

    delivery: str
    report: str
    order: str
    destination: str
    state: str
    word: str
    glyph: str
    plain_glyph: str
    attempt: int
    answer: str
    created_at: str | None
    sent_at: str | None


class ReportView(View, frozen=True, kw_only=True):
    """One report (or failure report) of an order."""

    report: str
    order: str
    kind: str
    version: int
    supersedes: str
    formats: list[str]
    created_at: str | None


class ValueView(View, frozen=True, kw_only=True):
    """One number of a report."""

    label: str
    value: float | None
    unit: str


class ResultView(ReportView, frozen=True, kw_only=True):
    """One report with its study, its numbers and where it went."""

    study: str
    values: list[ValueView]
    deliveries: list[DeliveryView]


class RunView(View, frozen=True, kw_only=True):
    """One product's run on an order."""

    product: str
    version: str
    state: str
    code: str
    detail: str


class OriginView(View, frozen=True, kw_only=True):
    """One value of the metadata and where it came from."""

    value: str
    origin: str
    contradicts: bool = False


class OrderView(View, frozen=True, kw_only=True):
    """One order."""

    order: str
    study: str
    study_version: int
    state: str
    word: str
    glyph: str
    plain_glyph: str
    terminal: bool
    retryable: bool
    needs_person: bool
    code: str
    detail: str
    advice: str
    products: list[str]
    runs: list[RunView]
    priority: int
    group: str
    owner: str
    percent: int
    step: str
    stage: str
    attempt: int
    qc_verdict: str
    bypass_by: str
    bypass_reason: str
    delivery_failed: bool
    metadata: dict[str, OriginView]
    created_at: str | None
    updated_at: str | None
    deliveries: list[DeliveryView]
    reports: list[ReportView]
    row_version: int


class StudyRow(View, frozen=True, kw_only=True):
    """One study as the list shows it, with its newest order."""

    study: str
    version: int
    order: str | None
    state: str
    word: str
    glyph: str
    plain_glyph: str
    percent: int
    step: str
    qc: str
    products: list[str]
    group: str
    received_at: str | None
    updated_at: str | None
    instances: int
    series: int
    has_accession: bool
    sender: str
    needs_person: bool
    terminal: bool
    code: str
    detail: str
    delivery_failed: bool
    bypassed: bool
    priority: int
    """Of the order: 0 is routine, above it is urgent."""


class SeriesView(View, frozen=True, kw_only=True):
    """One series of a study."""

    series: str
    number: int
    modality: str
    label: str
    instances: int
    sop_class: str
    product_input: bool


class TimelineView(View, frozen=True, kw_only=True):
    """One thing that happened."""

    seq: int
    at: str
    name: str
    title: str
    severity: str
    text: str
    order: str


class StudyView(StudyRow, frozen=True, kw_only=True):
    """One study with everything about it save who it belongs to."""

    study_state: str
    """Of the study itself; `state` is that of its newest order."""
    quarantine: str
    """Why it is quarantined, in words; empty when it is not."""
    conflicts: int
    """Instances that came again with other content; both are kept, and the content that came first is used."""
    series_list: list[SeriesView]
    orders: list[OrderView]
    timeline: list[TimelineView]
    metadata: dict[str, OriginView]
    reports: list[ReportView]


class StudyList(View, frozen=True, kw_only=True):
    """A page of studies; `matched` fit the filter, `total` are there: the least there are, and an estimate, if not exact."""

    items: list[StudyRow]
    next: str | None
    matched: int
    total: int
    matched_exact: bool = True
    total_exact: bool = True
    pages: int = 0
    """How many pages of this size match; the least there are, if `matched` is not exact."""


class OrderList(View, frozen=True, kw_only=True):
    """A page of orders."""

    items: list[OrderView]
    next: str | None
    matched: int
    total: int
    matched_exact: bool = True
    total_exact: bool = True
    pages: int = 0
    """How many pages of this size match; the least there are, if `matched` is not exact."""


class ResultList(View, frozen=True, kw_only=True):
    """A page of results."""

    items: list[ResultView]
    next: str | None
    matched: int
    total: int
    matched_exact: bool = True
    total_exact: bool = True
    pages: int = 0
    """How many pages of this size match; the least there are, if `matched` is not exact."""


class ReportList(View, frozen=True, kw_only=True):
    """A page of reports."""

    items: list[ReportView]
    next: str | None
    matched: int
    total: int
    matched_exact: bool = True
    total_exact: bool = True
    pages: int = 0
    """How many pages of this size match; the least there are, if `matched` is not exact."""


class IdentityView(View, frozen=True, kw_only=True):
    """Who a study belongs to."""

    study: str
    patient_name: str
    patient_id: str
    birth_date: str
    sex: str
    accession: str
    study_date: str
    study_description: str


class RevealView(View, frozen=True, kw_only=True):
    """Identities, and until when a client may show them."""

    items: list[IdentityView]
    until: str


class FindingView(View, frozen=True, kw_only=True):
    """One check of quality control."""

    check: str
    title: str
    verdict: str
    found: str
    expected: str
    action: str
    figure: float | None
    unit: str
    picture: str
    """Where its picture (PNG) is fetched; empty where there is none."""
    caption: str
    """What the picture shows."""


class RepairView(View, frozen=True, kw_only=True):
    """A gradient table that is repaired for the analysis, or could be with consent; the images stay as received."""

    series: str
    number: int | None
    words: str
    before: float
    """Coherence of the fibres under the table as it is."""
    after: float
    consent: str
    """Who agreed; empty while it is only proposed."""


class QcView(View, frozen=True, kw_only=True):
    """What quality control said about an order."""

    verdict: str
    findings: list[FindingView]
    metadata: dict[str, OriginView]
    repairs: list[RepairView]
    thresholds: str
    """Version of the image checks' limits; empty where no image was looked at."""


class FilterWordView(View, frozen=True, kw_only=True):
    """One word of the filter language."""

    word: str
    help: str
    example: str
    choices: list[str]


class ProbeView(View, frozen=True, kw_only=True):
    """What a test of a connection found; `values` are settings that the other side told."""

    ok: bool
    lines: list[str]
    values: dict[str, str] = {}
