"""What the API answers about the appliance itself: status, accounts, settings, audit."""

from typing import Any

from api.views import View


class WhoAmI(View, frozen=True, kw_only=True):
    """Who is signed in."""

    user: str
    role: str
    expires_at: str | None


class UserView(View, frozen=True, kw_only=True):
    """One account."""

    id: str
    name: str
    role: str
    disabled: bool
    locked_until: str | None
    created_at: str | None


class TokenView(View, frozen=True, kw_only=True):
    """One API token; `secret` is shown once, when it is made."""

    id: str
    name: str
    role: str
    scopes: list[str]
    created_by: str
    created_at: str | None
    expires_at: str | None
    revoked: bool
    secret: str = ""


class CertificateView(View, frozen=True, kw_only=True):
    """A TLS certificate: what it says about itself, and whether browsers and programs meet it."""

    in_force: bool
    own: bool
    """Whether this appliance signs it itself."""
    subject: str
    issuer: str
    names: list[str]
    valid_from: str | None
    valid_until: str | None
    key: str
    fingerprint: str
    """SHA-256, as browsers show it."""
    warnings: list[str]
    trouble: str = ""
    """Why the certificate of the settings is not in force; empty when it is."""


class AuditRowView(View, frozen=True, kw_only=True):
    """One row of the audit."""

    seq: int
    at: str
    actor: str
    action: str
    target: str
    origin: str
    result: str
    detail: str
    hash: str


class AuditList(View, frozen=True, kw_only=True):
    """A page of the audit, newest first."""

    items: list[AuditRowView]
    next: str | None


class ChainView(View, frozen=True, kw_only=True):
    """Whether the audit's hash chain holds."""

    ok: bool
    rows: int
    head: str
    first_bad_seq: int | None


class SettingsView(View, frozen=True, kw_only=True):
    """The settings in force; secrets that are set read `@secret:unchanged`."""

    version: int
    settings: dict[str, Any]
    saved_at: str | None
    saved_by: str


class SettingsSaved(View, frozen=True, kw_only=True):
    """What a change did."""

    version: int
    changed: list[str]
    restart: list[str]


class RevisionView(View, frozen=True, kw_only=True):
    """One saved version."""

    version: int
    saved_at: str
    saved_by: str
    changed: list[str]


class PartView(View, frozen=True, kw_only=True):
    """One part of the appliance."""

    name: str
    status: str
    detail: str


class HealthView(View, frozen=True, kw_only=True):
    """Whether the appliance is well."""

    status: str
    parts: list[PartView]


class AliveView(View, frozen=True, kw_only=True):
    """The API answers."""

    status: str
    version: str


class ProcessView(View, frozen=True, kw_only=True):
    """One process of the appliance."""

    kind: str
    pid: int
    started_at: str
    seen_at: str
    alive: bool


class CountsView(View, frozen=True, kw_only=True):
    """How much there is."""

    studies: int
    orders: dict[str, int]


class ReceiveView(View, frozen=True, kw_only=True):
    """Where senders send to."""

    ae_title: str
    host: str
    port: int
    addresses: list[str]
    open_to_everybody: bool


class QueueView(View, frozen=True, kw_only=True):
    """What waits, and what is worked on."""

    waiting: int
    running: int
    urgent: int
    """Of those that wait."""
    expected_s: float | None
    """Until all of it is done, from measured stages; null until each has been measured once."""


class StatusView(View, frozen=True, kw_only=True):
    """How the appliance is."""

    site: str
    version: str
    time_zone: str
    home_free_bytes: int
    home_total_bytes: int
    days_until_full: float | None
    """Null while the free space does not fall, or less than a day is known."""
    now: str
    processes: list[ProcessView]
    counts: CountsView
    receive: ReceiveView
    queue: QueueView
    paused: bool
    receiving_paused: bool
    delivery_paused: bool
    mode: str
    limits: bool
    """False: core and memory limits are switched off."""
    workers: int
    cluster: str
    """Address of the cluster on which products run; empty: they run here."""


class TroubleView(View, frozen=True, kw_only=True):
    """An association that was refused, aborted or failed: why, and what helps."""

    seq: int
    at: str
    kind: str
    """refused or failed."""
    caller: str
    address: str
    sentence: str
    advice: str


class SenderView(View, frozen=True, kw_only=True):
    """Somebody who has sent, and the quiet time that its own pauses ask for."""

    ae_title: str
    address: str
    studies: int
    instances: int
    allowed: bool
    """Whether it may send under the settings in force."""
    quiet_s: int
    """The quiet time in force for it."""
    proposed_quiet_s: int | None
    """Learned from its pauses; null while fewer than 20 studies were seen."""
    first_at: str
    last_at: str


class PausedView(View, frozen=True, kw_only=True):
    """Whether nothing new is begun."""

    paused: bool


class ProcessingView(View, frozen=True, kw_only=True):
    """Whether stages are started."""

    paused: bool


class ProductView(View, frozen=True, kw_only=True):
    """One product; `reason` says why one is not offered."""

    product: str
    version: str = ""
    title: str = ""
    intended_use: str = ""
    own: bool
    offered: bool
    reason: str = ""
    memory_mb: int = 0
    cores: int = 0
    timeout_s: int = 0
