"""What the API says about scheduled tasks, retention and notices."""

from tui.contract import Answer


class TaskLine(Answer, frozen=True, kw_only=True):
    """One scheduled task."""

    task: str
    title: str = ""
    cadence: str = ""
    on: bool = False
    switched_off: bool = False
    running: bool = False
    last_at: str | None = None
    next_at: str | None = None
    took_ms: int = 0
    result: str = ""
    failed: bool = False


class TaskResult(Answer, frozen=True, kw_only=True):
    """What a task has said, so many times in a row."""

    first_at: str | None = None
    last_at: str | None = None
    times: int = 1
    took_ms: int = 0
    result: str = ""
    failed: bool = False


class Preview(Answer, frozen=True, kw_only=True):
    """What would be deleted now by its age, and what stays although it is old."""

    studies: int = 0
    orders: int = 0
    files: int = 0
    bytes: int = 0
    rows: dict[str, int] = {}
    logs: int = 0
    quarantined: int = 0
    kept: dict[str, int] = {}


class Notice(Answer, frozen=True, kw_only=True):
    """One event on one way to people."""

    notice: str
    event: str = ""
    severity: str = ""
    way: str = ""
    state: str = ""
    reason: str = ""
    attempts: int = 0
    at: str | None = None
    sent_at: str | None = None
    due_at: str | None = None
