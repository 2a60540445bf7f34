"""Settings of upkeep, by the names of the agent's guide: cadence, retention, log, heartbeat."""

from typing import Annotated, Literal

from msgspec import Meta

from appliance.fields import Network, Pem, Port, Secret, Section, field

Cadence = Literal["every-minute", "every-5-minutes", "hourly", "daily-midnight", "daily-3", "weekly-sunday-3", "cron"]
Level = Literal["debug", "info", "warning", "error"]

_NO_HEARTBEAT = "this version sends no heartbeat"


class SchedulerSection(Section, frozen=True, kw_only=True):
    """Scheduler"""

    cadence: Annotated[
        Cadence, field("Management tasks", "How often clean-up and maintenance run, in the site's time zone.")
    ] = "hourly"
    cron: Annotated[
        Annotated[str, Meta(pattern=r"^[0-9*,/\-]+( [0-9*,/\-]+){4}(?!\n)$", max_length=128)],
        field(
            "Schedule",
            "Minute, hour, day of the month, month, weekday (0 is Sunday).",
            applies_when="scheduler.cadence=cron",
            widget="cron",
        ),
    ] = "0 3 * * *"


class RetentionSection(Section, frozen=True, kw_only=True):
    """Data retention"""

    orders_days: Annotated[
        int,
        field(
            "Orders",
            "Orders with all their patient data; 0 is without end.",
            unit="days",
            recommended="90",
            ge=0,
            le=36_500,
        ),
    ] = 90
    records_days: Annotated[
        int,
        field("Database records", "Rows that belong to no study any more; 0 is without end.", unit="days", ge=0, le=36_500),
    ] = 0
    logs_days: Annotated[
        int,
        field(
            "Logs",
            "Older log files are deleted; 0 is without end. The audit is never deleted.",
            unit="days",
            recommended="30",
            ge=0,
            le=36_500,
        ),
    ] = 30


class AuditSection(Section, frozen=True, kw_only=True):
    """Audit"""

    syslog: Annotated[
        Literal["none", "udp", "tcp", "tls"],
        field(
            "Syslog",
            "How anchors of the audit are sent to the site's syslog server (RFC 5424); no patient value is part of one.",
            recommended="tls",
        ),
    ] = "none"
    syslog_host: Annotated[
        Annotated[str, Meta(pattern=r"^[A-Za-z0-9._:\-]{0,253}(?!\n)$", extra_json_schema={"x-widget": "host"})],
        field("Syslog server", "Its name or address."),
    ] = ""
    syslog_port: Annotated[Port, field("Syslog port", recommended="6514 with TLS")] = 514
    syslog_authority: Annotated[
        Pem,
        field(
            "Its certificate authority",
            "PEM; empty trusts the authorities of the system.",
            applies_when="audit.syslog=tls",
        ),
    ] = ""
    syslog_certificate: Annotated[
        Pem,
        field("Our certificate", "PEM, where the server asks for one (mutual TLS).", applies_when="audit.syslog=tls"),
    ] = ""
    syslog_key: Annotated[
        Secret | None, field("Its key", "PEM without a password.", applies_when="audit.syslog=tls", widget="pem")
    ] = None
    messages: Annotated[
        bool,
        field(
            "Audit messages",
            "Every row of the audit as DICOM audit message (IHE ATNA, ITI-20) to the same server.",
            applies_when="audit.syslog=tls",
        ),
    ] = False
    patients_named: Annotated[
        bool,
        field(
            "Name patients",
            "Audit messages hold patient ID and Study Instance UID instead of this appliance's own identifiers.",
            recommended="on where the audit repository is protected as the PACS is",
            applies_when="audit.syslog=tls",
        ),
    ] = False
    anchor_minutes: Annotated[
        int, field("Anchors every", "Into the log, and to the syslog server.", unit="min", ge=1, le=1440)
    ] = 60


class MetricsSection(Section, frozen=True, kw_only=True):
    """Metrics"""

    addresses: Annotated[
        tuple[Network, ...],
        field(
            "Addresses that may read",
            "Monitoring systems that read /metrics without a token, as address or network.",
            recommended="none: give your Prometheus a token of role service",
            max_length=10,
        ),
    ] = ()


class LogsSection(Section, frozen=True, kw_only=True):
    """Log"""

    level: Annotated[
        Level, field("Level", "The least that is written; acts within a minute in every process.", recommended="info")
    ] = "info"


class HeartbeatSection(Section, frozen=True, kw_only=True):
    """Heartbeat"""

    system_metrics: Annotated[
        bool, field("Include system metrics", "Processor, memory and disk.", unavailable=_NO_HEARTBEAT)
    ] = True
    order_statistics: Annotated[
        bool, field("Include order statistics", "How many orders are done, failed and at work.", unavailable=_NO_HEARTBEAT)
    ] = True
    health: Annotated[
        bool,
        field(
            "Include health", "Whether the appliance and its database are well.", recommended="on", unavailable=_NO_HEARTBEAT
        ),
    ] = True
