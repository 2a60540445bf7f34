"""The tables of scheduled tasks, and of what they must take out of the log lines."""

from piccolo.columns import BigInt, Boolean, Varchar
from piccolo.table import Table


class TaskRun(Table, tablename="task_runs"):
    """When a scheduled task last ran, and when it runs next."""

    name = Varchar(48, primary_key=True)
    last_at = BigInt(default=0)
    next_at = BigInt(default=0)
    result = Varchar(255, default="")
    failed = Boolean(default=False)
    took_ms = BigInt(default=0)
    asked_at = BigInt(default=0)
    off = Boolean(default=False)
    worker = Varchar(64, default="")
    lease_until = BigInt(default=0)


class TaskResult(Table, tablename="task_results"):
    """What a scheduled task has said; the same words again only count up."""

    id = Varchar(36, primary_key=True)
    name = Varchar(48, index=True)
    first_at = BigInt(default=0)
    last_at = BigInt(default=0)
    times = BigInt(default=1)
    took_ms = BigInt(default=0)
    result = Varchar(255, default="")
    failed = Boolean(default=False)


class Erasure(Table, tablename="erasures"):
    """An identifier of something deleted that the log lines must lose yet."""

    id = Varchar(36, primary_key=True)
    at = BigInt(default=0)
