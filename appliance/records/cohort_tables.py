"""The tables of groups and of notices."""

from piccolo.columns import BigInt, Boolean, Integer, Text, Varchar
from piccolo.table import Table


class Cohort(Table, tablename="cohorts"):
    """A group of studies whose orders use the same products in the same versions."""

    id = Varchar(36, primary_key=True)
    name = Varchar(64, unique=True, index=True)
    products = Varchar(1024, default="")
    created_by = Varchar(64, default="")
    created_at = BigInt(default=0)
    completed_key = Varchar(64, default="")
    schedule = Varchar(128, default="")
    scheduled_at = BigInt(default=0)


class CohortReport(Table, tablename="cohort_reports"):
    """One report of a group; its deliveries name it in their column `report` and no order."""

    id = Varchar(36, primary_key=True)
    cohort = Varchar(36, index=True)
    version = Integer(default=1)
    reason = Varchar(16, default="")
    members = Integer(default=0)
    done = Integer(default=0)
    failed = Integer(default=0)
    folder = Varchar(255, default="")
    stem = Varchar(255, default="")
    formats = Varchar(64, default="")
    searched = Text(default="{}")
    idempotency_key = Varchar(64, default="")
    created_at = BigInt(default=0)


class Notice(Table, tablename="notices"):
    """One event on its way to people by one route; it holds our identifiers and never the text that was sent."""

    id = Varchar(36, primary_key=True)
    seq = BigInt(index=True)
    subject = Varchar(32)
    severity = Varchar(8)
    route = Varchar(16)
    state = Varchar(16, index=True)
    reason = Varchar(255, default="")
    digest = Boolean(default=False)
    attempt = Integer(default=0)
    worker = Varchar(64, default="")
    lease_until = BigInt(default=0)
    not_before = BigInt(default=0)
    at = BigInt(index=True)
    sent_at = BigInt(null=True, default=None)
    topic = Varchar(128, default="")
    body = Text(default="{}")


class Mark(Table, tablename="marks"):
    """How far something has read the events."""

    name = Varchar(32, primary_key=True)
    seq = BigInt(default=0)


COHORT_TABLES: tuple[type[Table], ...] = (Cohort, CohortReport, Notice, Mark)
