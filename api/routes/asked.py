"""The parameters that every list takes."""

from typing import Annotated

from litestar.params import QueryParameter

from appliance.records.lists import MOST_ROWS, Asked

Filter = Annotated[str, QueryParameter(name="q", description="Filter, such as `status:failed group:PARK* received<2d`.")]
Sort = Annotated[str, QueryParameter(description="What to sort by; with - before it, the largest first.")]
Cursor = Annotated[str, QueryParameter(description="`next` of the page before.")]
Limit = Annotated[int, QueryParameter(ge=1, le=MOST_ROWS, description="Rows in a page.")]


def asked(filter_text: str, sort: str, cursor: str, limit: int) -> Asked:
    """A page as `appliance.records.lists` wants it."""
    return Asked(filter=filter_text, sort=sort, cursor=cursor, limit=limit)
