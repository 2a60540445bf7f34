"""A page of rows whose identifiers tell their age, the newest first: notices, pulls, drops."""

from typing import Any

from piccolo.table import Table

from appliance.records.engine import rows_of
from appliance.records.filter import Vocabulary, compile_filter


async def latest(
    table: type[Table], words: Vocabulary, *, text: str, before: str, limit: int, now: int
) -> tuple[list[dict[str, Any]], str]:
    """Rows that fit a filter and are older than `before` (empty: from the newest), and `before` of the next page, empty at
    the end; raises `FilterProblem`. The filter's columns are those of `n`.
    """
    fitting = compile_filter(text, words, now)
    conditions = [one for one in (fitting.sql, "n.id < {}" if before else "") if one]
    where = f"WHERE {' AND '.join(conditions)} " if conditions else ""
    values = (*fitting.values, *((before,) if before else ()), limit + 1)
    rows = await rows_of(table, f"SELECT n.* FROM {table._meta.tablename} n {where}ORDER BY n.id DESC LIMIT {{}}", *values)
    return rows[:limit], str(rows[limit - 1]["id"]) if len(rows) > limit else ""
