"""The parameters that every list takes, and what every page says about the whole."""

from typing import Annotated, Any, TypedDict

from litestar.params import QueryParameter

from appliance.records.paging import MOST_ROWS, Asked, Page

Filter = Annotated[str, QueryParameter(name="q", description="Filter, such as `status:failed group:PARK* received<2d`.")]
Sort = Annotated[str, QueryParameter(description="What to sort by; with - before it, the largest first.")]
Cursor = Annotated[str, QueryParameter(description="`next` of the page before.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_ROWS, description="Rows in a page.")]


class Whole(TypedDict):
    """What a page says about the list it is part of."""

    next: str | None
    matched: int
    total: int
    matched_exact: bool
    total_exact: bool


def asked(filter_text: str, sort: str, cursor: str, limit: int) -> Asked:
    """A page as `appliance.records.lists` wants it."""
    return Asked(filter=filter_text, sort=sort, cursor=cursor, limit=limit)


def whole(page: Page[Any]) -> Whole:
    """The rest of an answer beside its items."""
    return Whole(
        next=page.next,
        matched=page.matched,
        total=page.total,
        matched_exact=page.matched_exact,
        total_exact=page.total_exact,
    )
