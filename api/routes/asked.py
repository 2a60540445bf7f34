"""The parameters that every list takes, and what every page says about the whole."""

from collections.abc import Callable, Sequence
from typing import Annotated, Any, TypedDict, TypeVar
from urllib.parse import urlencode

from litestar import Response
from litestar.params import HeaderParameter, QueryParameter

from appliance.records.paging import MOST_ROWS, Asked, Page

Row = TypeVar("Row")
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


LONGEST_MARK = 128
After = Annotated[
    str,
    QueryParameter(
        name="cursor",
        max_length=LONGEST_MARK,
        description="Where the page begins: see the `Link` header of the one before.",
    ),
]
Older = Annotated[
    str,
    QueryParameter(
        name="cursor",
        pattern="^([0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})?$",
        description="Where the page begins: `next` of the page before, or what its `Link` header says.",
    ),
]
Few = Annotated[int, QueryParameter(name="limit", ge=1, le=1000, description="Rows in a page.")]
Once = Annotated[
    str, HeaderParameter(name="Idempotency-Key", max_length=128, description="The same key of the same caller makes it once.")
]


def cut(
    rows: Sequence[Row], name: Callable[[Row], str], after: str, limit: int, *, down: bool = False
) -> tuple[list[Row], str]:
    """A page of rows that are all at hand, by their names, and the mark of the next page, empty at the end."""
    ahead = [row for row in rows if not after or (name(row) < after if down else name(row) > after)]
    rest = sorted(ahead, key=name, reverse=down)
    return rest[:limit], name(rest[limit - 1]) if len(rest) > limit else ""


def linked(items: list[Row], address: str, mark: str, **asked: str | int | None) -> Response[list[Row]]:
    """A page that is a plain list; where the next one begins stands in its `Link` header (RFC 8288)."""
    if not mark:
        return Response(items)
    query = urlencode({name: value for name, value in {**asked, "cursor": mark}.items() if value not in (None, "")})
    return Response(items, headers={"Link": f'<{address}?{query}>; rel="next"'})
