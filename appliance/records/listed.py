"""What a list is: its tables, columns, sorts and words, as `appliance.records.paging` reads them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from appliance.records.filter import Vocabulary


@dataclass(frozen=True, slots=True)
class ByState:
    """A table in which the rows of one state stand together in the order of one sort."""

    sort: str
    table: str
    identifier: str
    column: str
    state: str
    flag: str


@dataclass(frozen=True, slots=True)
class Listed:
    """One list as SQL: its rows, its columns, what it can be sorted by, and the table that `total` counts.

    `{join}` stands for a join that keeps the order of the tables: the first one is walked.
    """

    rows: str
    identifier: str
    columns: str
    sorts: Mapping[str, str]
    words: Vocabulary
    table: str
    quick: Mapping[str, str]
    """Kind of a quick way -> the list's own identifiers for the rows that it gives."""
    states_of: Literal["studies", "orders"]
    by_state: ByState | None
    shown: str
    """The tables of `columns`: what a page needs of rows that are found already."""
    shown_id: str
