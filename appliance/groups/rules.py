"""What holds for a group: its name, its products in pinned versions, when it is complete, and what its report is called."""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

from appliance.errors import Conflict, Misconfigured
from appliance.states import ORDER_FACTS, OrderState

NAME = r"^[A-Za-z0-9][A-Za-z0-9 ._\-]{0,39}$"
"""As of destinations: it stands in lists, filters and file names."""
REPORT_TYPE = "prediction-indexes"

Standing = Literal["done", "failed", "cancelled", "open"]
_STANDINGS: dict[OrderState, Standing] = {
    OrderState.REPORTED: "done",
    OrderState.DELIVERED: "done",
    OrderState.FAILED: "failed",
    OrderState.EXPIRED: "failed",
    OrderState.CANCELLED: "cancelled",
}


class BadGroupName(Misconfigured):
    """A group's name has up to 40 letters, digits, spaces, points, hyphens and underscores; the first is a letter or digit."""

    code = "group-name"
    next_step = "Choose such a name; it stands in lists, filters and file names."


class GroupProductsDiffer(Conflict):
    """All studies of group {group} use {fixed}; this one uses {asked}."""

    code = "group-products-differ"
    next_step = "Choose another group, or open an order with the group's products."


class GroupVersionsDiffer(Misconfigured):
    """Group {group} is fixed to {fixed}, and {installed} is installed; numbers of two versions do not belong in one table."""

    code = "group-versions-differ"
    next_step = "Accept the installed versions for the group, or install the version it began with."


def checked_name(name: str) -> str:
    """The name; raises `BadGroupName`."""
    if not re.fullmatch(NAME, name):
        raise BadGroupName(field="name")
    return name


def pinned(products: Iterable[str], versions: Mapping[str, str]) -> str:
    """Products with the versions that are installed now, as they are kept: `dti@1.0.0,dti-fw@1.0.0`."""
    return ",".join(f"{one}@{versions[one]}" for one in products)


def unpinned(kept: str) -> dict[str, str]:
    """Product -> version of what is kept."""
    return dict(one.split("@", 1) for one in kept.split(",") if one)


def check_products(group: str, kept: str, asked: Sequence[str], versions: Mapping[str, str]) -> list[str]:
    """The group's products, when nothing else is asked for and they are still the ones installed.

    Raises `GroupProductsDiffer`, `GroupVersionsDiffer`.
    """
    fixed = unpinned(kept)
    if asked and set(asked) != set(fixed):
        raise GroupProductsDiffer(group=group, fixed=", ".join(fixed), asked=", ".join(asked))
    for product, version in fixed.items():
        found = versions.get(product, "none")
        if found != version:
            raise GroupVersionsDiffer(field="group", group=group, fixed=f"{product} {version}", installed=found)
    return list(fixed)


def standing(state: str) -> Standing:
    """How far a member is, from the state of its newest order; empty while it has none."""
    return _STANDINGS.get(OrderState(state), "open") if state else "open"


def fingerprint(members: Iterable[tuple[str, str, str]]) -> str:
    """Changes when a member came, went, ended otherwise or got a corrected report: (order, standing, report) of each."""
    return hashlib.sha256("\n".join("\x1f".join(one) for one in sorted(members)).encode()).hexdigest()


def needs_person(state: str) -> bool:
    """Whether a member waits for somebody."""
    return bool(state) and ORDER_FACTS[OrderState(state)].needs_person


def file_stem(template: str, group: str, date: str, version: int) -> str:
    """The name of a report's files without their ending; a later version says which, as two of one day have one name."""
    known = {"group_name": group, "report_type": REPORT_TYPE, "date": date}
    named = re.sub(r"\{(group_name|report_type|date)\}", lambda found: known[found[1]], template)
    plain = re.sub(r"[^A-Za-z0-9 ._\-]", "_", named).strip(" .") or "group"
    return plain + (f"_v{version}" if version > 1 else "")
