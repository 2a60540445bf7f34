"""The parameters that every list takes, and what every page says about the whole."""

from typing import Annotated, Any, TypedDict

from litestar.params import QueryParameter

from appliance.records.paging import MOST_ROWS, Asked, Page

MOST_PAGES = 100_000

Filter = Annotated[str, QueryParameter(name="q", description="Filter, such as `status:failed group:PARK* received<2d`.")]
Sort = Annotated[str, QueryParameter(description="What to sort by; with - before it, the largest first.")]
Cursor = Annotated[str, QueryParameter(description="`next` of the page before.")]
Number = Annotated[
    int,
    QueryParameter(name="page", ge=1, le=MOST_PAGES, description="Which page, from 1: to jump. Going on by cursor is cheaper."),
]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_ROWS, description="Rows in a page.")]


class Whole(TypedDict):
    """What a page says about the list it is part of."""

    next: str | None
    matched: int
    total: int
    matched_exact: bool
    total_exact: bool
    pages: int


def asked(filter_text: str, sort: str, cursor: str, limit: int, number: int) -> Asked:
    """A page as `appliance.records.lists` wants it."""
    return Asked(filter=filter_text, sort=sort, cursor=cursor, limit=limit, number=number)


def whole(page: Page[Any], limit: int) -> Whole:
    """The rest of an answer beside its items."""
    return Whole(
        pages=-(-page.matched // limit),
        next=page.next,
        matched=page.matched,
        total=page.total,
        matched_exact=page.matched_exact,
        total_exact=page.total_exact,
    )
