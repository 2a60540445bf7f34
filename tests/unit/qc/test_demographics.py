"""Age and sex: header, form and sidecar, and what happens when they disagree."""

from collections.abc import Callable
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from appliance.qc.finding import Origin, QcReport, Verdict
from tests.unit.qc.scans import a_scan, finding, report_of

Header = dict[str, str]


def run_with(
    tmp_path: Path, header: Header, given: dict[str, Origin] | None = None, protocol: dict[str, object] | None = None
) -> QcReport:
    return report_of(a_scan(tmp_path, change=writing(header)), given=given or {}, protocols={"dti": protocol or {}})


def writing(header: Header) -> Callable[[Dataset, int, int], None]:
    def change(dataset: Dataset, _volume: int, _place: int) -> None:
        for keyword, value in header.items():
            setattr(dataset, keyword, value)

    return change


def test_header_values_are_taken_and_named_as_such(tmp_path: Path) -> None:
    """QC-01, UPL-02: the origin of each value is kept."""
    report = run_with(tmp_path, {})
    assert report.metadata == {"age": Origin(value="045Y", origin="dicom"), "sex": Origin(value="F", origin="dicom")}
    assert finding(report, "age").found == "45 years from the header"


def test_dates_stand_in_for_an_age(tmp_path: Path) -> None:
    report = run_with(tmp_path, {"PatientAge": "000Y"})
    assert report.metadata["age"] == Origin(value="045Y", origin="dicom")
    assert "calculated" in finding(report, "age").found


@pytest.mark.parametrize("age", ["", "000Y", "200Y", "036M"])
def test_without_a_usable_age_the_study_stops(age: str, tmp_path: Path) -> None:
    """QC-01: no age, no birth date: the finding says what to do."""
    report = run_with(tmp_path, {"PatientAge": age, "PatientBirthDate": ""})
    assert finding(report, "age").verdict is Verdict.FAILED
    assert "Give the age in the order" in finding(report, "age").action
    assert report.metadata["age"] == Origin()


@pytest.mark.parametrize("sex", ["", "O", "U", "MALE"])
def test_other_and_absent_sex_fail(sex: str, tmp_path: Path) -> None:
    """QC-01: O and absent fail."""
    assert finding(run_with(tmp_path, {"PatientSex": sex}), "sex").verdict is Verdict.FAILED


@pytest.mark.parametrize("sex", ["", "O"])
def test_a_manifest_may_allow_other_and_absent_sex(sex: str, tmp_path: Path) -> None:
    """QC-01: unless the product's manifest allows them."""
    report = run_with(tmp_path, {"PatientSex": sex}, protocol={"allowed_sex": ["M", "F", "O", ""]})
    assert finding(report, "sex").verdict is Verdict.PASSED


def test_every_product_of_the_order_must_allow_it(tmp_path: Path) -> None:
    files = a_scan(tmp_path, change=writing({"PatientSex": "O"}))
    report = report_of(files, given={}, protocols={"a": {"allowed_sex": ["M", "F", "O"]}, "b": {}})
    assert finding(report, "sex").verdict is Verdict.FAILED


@pytest.mark.parametrize("written", ["M", "m", "Male", " MALE "])
def test_a_form_goes_before_the_header(written: str, tmp_path: Path) -> None:
    """UPL-02: form, then sidecar, then DICOM; sex as M/F/Male/Female."""
    given = {"age": Origin(value="46", origin="form"), "sex": Origin(value=written, origin="sidecar")}
    report = run_with(tmp_path, {"PatientSex": ""}, given)
    assert report.metadata == {"age": Origin(value="046Y", origin="form"), "sex": Origin(value="M", origin="sidecar")}
    assert report.verdict is Verdict.PASSED


def test_a_form_that_contradicts_the_header_is_a_warning(tmp_path: Path) -> None:
    """UPL-02: age by more than a year, and sex, are to be confirmed; the report can say so."""
    given = {"age": Origin(value="47Y", origin="form"), "sex": Origin(value="M", origin="form")}
    report = run_with(tmp_path, {}, given)
    assert report.verdict is Verdict.WARNING
    assert report.metadata["age"] == Origin(value="047Y", origin="form", contradicts=True)
    assert report.metadata["sex"] == Origin(value="M", origin="form", contradicts=True)
    assert finding(report, "age").found == "47 years from the form, 45 years in the header"


@pytest.mark.parametrize("age", ["44", "45", "046Y"])
def test_a_year_more_or_less_is_no_contradiction(age: str, tmp_path: Path) -> None:
    report = run_with(tmp_path, {}, {"age": Origin(value=age, origin="form")})
    assert not report.metadata["age"].contradicts


@pytest.mark.parametrize(("check", "value"), [("age", "forty"), ("age", "0"), ("sex", "X")])
def test_an_unusable_form_value_is_never_replaced_silently(check: str, value: str, tmp_path: Path) -> None:
    report = run_with(tmp_path, {}, {check: Origin(value=value, origin="sidecar")})
    assert finding(report, check).verdict is Verdict.FAILED
    assert "sidecar" in finding(report, check).found
    assert value not in finding(report, check).found
    assert report.metadata[check] == Origin()


@pytest.mark.parametrize(("check", "keyword", "value"), [("age", "PatientAge", "063Y"), ("sex", "PatientSex", "M")])
def test_images_of_two_people_are_noticed(check: str, keyword: str, value: str, tmp_path: Path) -> None:
    """QC-01: images that disagree about age or sex may be of two patients."""
    first = a_scan(tmp_path / "one")
    second = a_scan(tmp_path / "two", series="ours-2", change=writing({keyword: value}))
    found = finding(report_of([*first, *second], given={}), check)
    assert found.verdict is Verdict.FAILED
    assert "two patients" in found.action


@pytest.mark.parametrize(("given", "allowed"), [("O", ["M", "F"])])
def test_a_given_sex_must_be_allowed_too(given: str, allowed: list[str], tmp_path: Path) -> None:
    report = run_with(tmp_path, {}, {"sex": Origin(value=given, origin="form")}, {"allowed_sex": allowed})
    assert finding(report, "sex").verdict is Verdict.FAILED
