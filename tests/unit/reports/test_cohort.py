"""The report of a group: its table, the schema of it, and the page of its statistics (GRP-02)."""

import csv
import io
import json
from pathlib import Path

import msgspec
import pytest

from appliance.reports import cohort
from appliance.reports.as_csv import facts_of
from appliance.reports.cohort_content import CohortMember, CohortRequest, Number
from tests.unit.reports.samples import a_report, a_section
from tests.unit.reports.test_pdf import pages_of


def a_member(number: int, fa: float, standing: str = "done") -> CohortMember:
    study = f"019ab6d0-0000-7111-8222-{number:012d}"
    if standing != "done":
        return CohortMember(study=study, order=f"o{number}", standing=standing, code="out-of-memory")
    content = msgspec.structs.replace(a_report(sections=[a_section()]), study=study)
    numbers = [
        Number(column="dti.fa_mean", label="FA, mean in the brain", value=fa),
        Number(column="dti.residual", label="Fit residual", value=float("nan")),
    ]
    return CohortMember(study=study, order=f"o{number}", standing="done", facts=facts_of(content), numbers=numbers)


def a_request(folder: Path, members: list[CohortMember], **changes: object) -> CohortRequest:
    request = CohortRequest(
        group="PARK-01",
        report="019ab6df-0000-7abc-9def-001122334455",
        version=2,
        made_at="2026-11-22T10:00:00.000Z",
        reason="completed",
        site="Site A",
        products={"dti": "1.0.0"},
        members=members,
        out_folder=str(folder / "out"),
        stem="PARK-01_prediction-indexes_2026-11-22_v2",
    )
    return msgspec.structs.replace(request, **changes)


MEMBERS = [a_member(number, 0.28 + number / 1000) for number in range(11)] + [a_member(98, 0.9), a_member(99, 0.0, "failed")]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("cohort")
    (folder / "out").mkdir()
    answer = cohort.run(a_request(folder, MEMBERS), lambda fraction, step: None)
    assert answer.files["csv"] == "PARK-01_prediction-indexes_2026-11-22_v2.csv"
    return {name: (folder / "out" / file).read_bytes() for name, file in answer.files.items()}


def test_the_table_has_a_row_for_each_study_and_a_column_for_each_number(made: dict[str, bytes]) -> None:
    """GRP-02: prediction indexes of every product for every study; RES-01: caveats and origins in the table."""
    rows = list(csv.DictReader(io.StringIO(made["csv"].decode())))
    assert len(rows) == 13
    assert [row["dti.fa_mean"] for row in rows[:2]] == ["0.28", "0.281"]
    assert rows[0]["dti.residual"] == "", "what cannot be computed is empty"
    assert rows[0]["caveats"]
    lost = rows[-1]
    assert (lost["standing"], lost["code"], lost["dti.fa_mean"], lost["order"]) == ("failed", "out-of-memory", "", "o99")
    assert {row["group"] for row in rows} == {"PARK-01"}


def test_the_schema_names_every_column_of_the_table_in_its_order(made: dict[str, bytes]) -> None:
    told = json.loads(made["schema"])
    assert told["schema"] == "ranvier-group-report/1"
    head = next(csv.reader(io.StringIO(made["csv"].decode())))
    assert [one["name"] for one in told["fields"]] == head
    assert told["primaryKey"] in head
    assert next(one for one in told["fields"] if one["name"] == "dti.fa_mean")["title"] == "FA, mean in the brain"


def test_the_page_counts_the_studies_and_names_the_one_that_stands_out(made: dict[str, bytes]) -> None:
    """GRP-02, issue of groups: n, done, failed, distribution per value with outliers."""
    (text,) = pages_of(made["pdf"])
    assert "Group PARK-01: 12 of 13 studies have a result." in text
    assert "NOT FOR CLINICAL USE" in text
    assert "Outliers: 00000098 (0.9" in text
    assert "failed: out-of-memory" in text
    assert b"/StructTreeRoot" in made["pdf"]
    assert made["png"].startswith(b"\x89PNG")


def test_the_quartiles_are_those_that_a_table_of_numbers_has() -> None:
    """Quartiles by linear interpolation (Hyndman and Fan's type 7, what spreadsheets and numpy give)."""
    members = [a_member(number, float(value)) for number, value in enumerate((1, 2, 3, 4, 5, 6, 7, 8, 9, 40))]
    (one,) = cohort.distributions(a_request(Path("/nowhere"), members))
    assert (one.lower, one.middle, one.upper) == (3.25, 5.5, 7.75)
    assert [value for _, value in one.outliers] == [40.0]
    few = cohort.distributions(a_request(Path("/nowhere"), members[:3]))[0]
    assert (few.count, few.outliers) == (3, [])


def test_the_same_group_gives_the_same_bytes_and_an_empty_one_says_so(tmp_path: Path) -> None:
    from appliance.reports import cohort_page

    request = a_request(tmp_path, MEMBERS)
    shown = cohort.distributions(request)
    assert cohort_page.make(request, shown) == cohort_page.make(msgspec.structs.replace(request), shown)
    assert "No study has a number yet" in pages_of(cohort_page.make(a_request(tmp_path, []), []))[0]
