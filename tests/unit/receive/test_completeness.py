"""REC-10: what a node says that a study holds is compared with what is here, series by series, and the rest is named."""

import msgspec
import pytest

from appliance.receive.filing import Filer
from appliance.receive.nodes.completeness import Gap, Holding, compared, gap, lacking
from appliance.receive.section import PacsNode
from appliance.records import pulls
from appliance.records.pulls import CompletenessRow, Wanted
from appliance.records.studies import StudyRow
from appliance.states import StudyState
from tests.unit.receive.conftest import Bench

NODE = PacsNode(name="archive", host="127.0.0.1", called_ae="ARCHIVE", completeness="pull")


def uids(*numbers: int) -> frozenset[str]:
    return frozenset(f"1.2.{one}" for one in numbers)


def a_gap(series: str, here: frozenset[str], *, names: frozenset[str] = frozenset(), count: int | None = None) -> Gap:
    return gap(Holding(series_uid=series, sop_uids=names, count=count), len(here), set(here), str)


@pytest.fixture
def study() -> StudyRow:
    """One instance of it came, as far as its row says."""
    types = StudyRow.__annotations__
    values = {name: "" if types[name] is str else 1 for name in StudyRow.__struct_fields__}
    return msgspec.convert({**values, "state": StudyState.RECEIVING, "stable_at": None}, StudyRow)


def said(study: StudyRow, *gaps: Gap) -> CompletenessRow:
    return compared(study, NODE, gaps, None, 1)


def test_named_instances_are_compared_and_only_the_missing_ones_are_pulled(study: StudyRow) -> None:
    gaps = [a_gap("1", uids(1, 2), names=uids(1, 2, 3), count=3), a_gap("2", uids(7), names=uids(7), count=1)]
    row = said(study, *gaps)
    assert (row.state, row.held, row.expected, row.missing, row.detail) == ("missing", 3, 4, 1, "")
    assert lacking("9", gaps) == [Wanted(study_uid="9", series_uids=("1",), sop_uids=("1.2.3",))]


def test_a_series_of_which_nothing_came_is_pulled_whole(study: StudyRow) -> None:
    gaps = [a_gap("1", uids(), names=uids(1, 2))]
    assert said(study, *gaps).missing == 2
    assert lacking("9", gaps) == [Wanted(study_uid="9", series_uids=("1",))]


def test_an_archive_that_counts_more_than_it_names_is_believed_its_number(study: StudyRow) -> None:
    """REC-10: archives limit their answers silently; what they named is here, and still 2 of 5 are missing."""
    gaps = [a_gap("1", uids(1, 2, 3), names=uids(1, 2, 3), count=5)]
    row = said(study, *gaps)
    assert (row.state, row.held, row.expected) == ("missing", 3, 5)
    assert row.detail == "it names fewer instances than it counts"
    assert lacking("9", gaps) == [Wanted(study_uid="9", series_uids=("1",))]


def test_what_an_archive_does_not_name_may_be_here_all_the_same(study: StudyRow) -> None:
    row = said(study, a_gap("1", uids(1, 2, 3, 4, 5), names=uids(1, 2, 3), count=5))
    assert (row.state, row.held, row.expected) == ("whole", 5, 5)


def test_counts_are_compared_series_by_series(study: StudyRow) -> None:
    """REC-10: too many in one series do not hide what another one lacks; only that one is pulled."""
    gaps = [a_gap("1", uids(1, 2, 3), count=2), a_gap("2", uids(7), count=2)]
    row = said(study, *gaps)
    assert (row.state, row.held, row.expected, row.missing) == ("missing", 3, 4, 1)
    assert row.detail == "compared by counts; it names no instances"
    assert lacking("9", gaps) == [Wanted(study_uid="9", series_uids=("2",))]


@pytest.mark.parametrize(
    ("counts", "state", "detail"),
    [
        ([], "unknown", "it says nothing of this study"),
        ([None], "unknown", "of some series it does not say what they hold"),
        ([1, None], "unknown", "of some series it does not say what they hold"),
        ([2, None], "missing", "of some series it does not say what they hold"),
        ([0], "whole", "compared by counts; it names no instances"),
    ],
)
def test_what_is_not_known_is_never_called_whole(counts: list[int | None], state: str, detail: str, study: StudyRow) -> None:
    row = said(study, *(a_gap(str(number), uids(1), count=count) for number, count in enumerate(counts)))
    assert (row.state, row.detail) == (state, detail)


async def test_what_is_here_is_counted_by_series(bench: Bench) -> None:
    first, second = bench.arrival("1.2.3.1.1"), bench.arrival("1.2.3.1.2")
    await Filer(bench.storage, bench.keys, bench.records).file([first, second], bench.at)
    (row,) = await bench.records.run("SELECT id FROM studies")
    series, instances = await pulls.held(bench.records, str(row["id"]))
    assert series == {pulls.series_key(bench.keys, "1.2.3.1"): 2}
    assert instances == {pulls.sop_key(bench.keys, f"1.2.3.1.{one}") for one in (1, 2)}
