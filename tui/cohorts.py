"""What the API says about groups: how far they are, their reports, and how their numbers are distributed."""

from urllib.parse import quote

from tui.contract import Answer, DeliveryView

FORMATS = ("csv", "schema", "pdf", "png")


def address(group: str) -> str:
    """A group's address in the API."""
    return f"/api/groups/{quote(group, safe='')}"


class GroupLine(Answer, frozen=True, kw_only=True):
    """One group with how far its studies are."""

    group: str
    products: dict[str, str] = {}
    newer: dict[str, str] = {}
    studies: int = 0
    done: int = 0
    failed: int = 0
    cancelled: int = 0
    waiting: int = 0
    complete: bool = False
    created_by: str = ""
    created_at: str | None = None
    reports: int = 0
    reported_at: str | None = None
    delivered: str = ""
    next_at: str | None = None
    sends_on_completion: bool = False

    @property
    def path(self) -> str:
        """Its address in the API."""
        return address(self.group)

    @property
    def open(self) -> int:
        """Studies whose order has not ended, or that have none yet."""
        return max(0, self.studies - self.done - self.failed - self.cancelled)

    @property
    def percent(self) -> float:
        """How many of its studies have ended."""
        return 100 * (self.studies - self.open) / self.studies if self.studies else 0.0


class GroupReport(Answer, frozen=True, kw_only=True):
    """One report of a group."""

    report: str
    version: int = 1
    reason: str = ""
    studies: int = 0
    done: int = 0
    failed: int = 0
    name: str = ""
    formats: list[str] = []
    created_at: str | None = None
    deliveries: list[DeliveryView] = []


class GroupDetail(GroupLine, frozen=True, kw_only=True):
    """One group with its reports, newest first."""

    report_list: list[GroupReport] = []


class Sent(Answer, frozen=True, kw_only=True):
    """To how many destinations a report goes."""

    destinations: int = 0


class Uploaded(Answer, frozen=True, kw_only=True):
    """What came of one ZIP."""

    studies: list[str] = []
    stored: int = 0
    left_out: int = 0


class Outlier(Answer, frozen=True, kw_only=True):
    """A study that stands out with one number."""

    study: str
    value: float = 0.0


class Distribution(Answer, frozen=True, kw_only=True):
    """How one number is distributed over the studies of a group that have it."""

    column: str
    label: str = ""
    unit: str = ""
    count: int = 0
    mean: float = 0.0
    deviation: float = 0.0
    least: float = 0.0
    lower: float = 0.0
    middle: float = 0.0
    upper: float = 0.0
    most: float = 0.0
    outliers: list[Outlier] = []
