"""JSON, text and picture of a report, and the words that they share."""

import io
import json
import math
from pathlib import Path

import msgspec
import pytest
from PIL import Image

from appliance.products.manifest import Value
from appliance.reports import as_json, as_png, as_text, render, words
from appliance.reports.content import REPORT_FORMATS, Earlier, Failure, RenderRequest, ReportContent, Row
from tests.unit.reports.samples import CAVEATS, IDENTITY, ORDER, a_failure, a_picture, a_report, a_request, a_section


def test_json_holds_every_number_the_caveats_and_the_notice(tmp_path: Path) -> None:
    """RES-01: JSON, with the caveats that every format carries."""
    content = a_report(sections=[a_section([a_picture(tmp_path / "fa.png")])])
    found = json.loads(as_json.make(a_request(tmp_path, content)))
    assert found["schema"] == "ranvier-report/1"
    assert found["caveats"] == CAVEATS
    assert found["notice"] == words.NOTICE_LONG
    assert found["not_said"] == list(words.limits(a_report()))
    assert found["sections"][0]["rows"][0] == {
        "name": "fa_mean",
        "label": "FA, mean in the brain",
        "value": 0.2874,
        "unit": "",
        "note": "",
    }
    assert found["sections"][0]["rows"][6]["value"] is None
    assert found["sections"][0]["pictures"] == [{"path": "fa.png", "title": "Fractional anisotropy, axial, 0 to 1"}]
    assert str(tmp_path) not in as_json.make(a_request(tmp_path, content)).decode()


def test_json_fits_its_published_schema() -> None:
    made = as_json.make(a_request(Path("/"), a_report(sections=[a_section(rows=[])])))
    found = msgspec.json.decode(made, type=as_json.JsonReport)
    assert found.order == ORDER
    assert "notice" in as_json.schema()["$defs"]["JsonReport"]["required"]


def test_neither_json_nor_text_names_the_patient_unless_asked(tmp_path: Path) -> None:
    """RES-05: identity stands on pages only where a destination's setting asks for it."""
    plain = as_text.make(a_request(tmp_path)).decode()
    asked = as_text.make(a_request(tmp_path, page_identity=IDENTITY)).decode()
    assert "PAT-0042" not in plain
    assert "Ranvier, Louise Antoinette" in asked
    assert "1992-12-05" in asked
    assert b"PAT-0042" not in as_json.make(a_request(tmp_path, page_identity=IDENTITY))


def test_text_says_what_the_first_page_says_within_78_columns(tmp_path: Path) -> None:
    """RES-01: TXT."""
    text = as_text.make(a_request(tmp_path)).decode()
    flat = " ".join(text.split())
    for words_of_it in (
        "NOT FOR CLINICAL USE",
        ORDER,
        *CAVEATS,
        "BYPASSED by a person",
        "34 years (from the DICOM header)",
        "F (given on a form)",
        "0.812 × 10⁻³ mm²/s",
        "found no age; expected an age from 18 to 100 years",
        "Give the age with the order",
        "weighted least squares",
        *words.limits(a_report()),
    ):
        assert words_of_it in flat
    assert max(len(line) for line in text.splitlines()) <= as_text.WIDTH


def test_a_value_that_is_followed_stands_beside_those_of_earlier_studies(tmp_path: Path) -> None:
    """PRO-03: the trend, with the version that an earlier number came from; without one the report says that it has none."""
    past = [
        Earlier(
            days_before=days,
            study="s",
            order="o",
            product="dti",
            product_version=version,
            rows=[Row(name="fa_mean", label="", value=fa)],
        )
        for days, version, fa in ((1, "1.0.0", 0.291), (366, "0.9.0", 0.302))
    ]
    content = a_report(earlier=past)
    head, rows = words.trend(content, content.sections[0])
    assert head == ["Measure", "This study", "1 day before", "366 days before"]
    assert rows == [
        ["FA, mean in the brain", "0.2874", "0.291", "0.302"],
        ["Version of the product", "1.0.0", "1.0.0", "0.9.0"],
    ]
    text = " ".join(as_text.make(a_request(tmp_path, content)).decode().split())
    assert "this study 0.2874 1 day before 0.291 366 days before 0.302" in text
    assert "knows none of this patient" not in text
    assert "knows none of this patient" in " ".join(as_text.make(a_request(tmp_path)).decode().split())
    assert json.loads(as_json.make(a_request(tmp_path, content)))["earlier"][1]["days_before"] == 366


def test_a_failure_says_what_happened_why_and_what_to_do(tmp_path: Path) -> None:
    """RES-01: failure reports as TXT and JSON."""
    text = " ".join(as_text.make(a_request(tmp_path, a_failure())).decode().split())
    assert "WHAT HAPPENED" in text
    assert "No series of this study is input of the product" in text
    assert "It ended in the step “Queued”; the code for support is nothing-to-process." in text
    assert "Gradient directions: found 3, expected at least 6." in text
    assert (
        "Send the diffusion series with all its directions" in text.partition("WHAT TO DO")[2].partition("QUALITY CONTROL")[0]
    )
    assert "send the diffusion series and run the order again" in text
    found = json.loads(as_json.make(a_request(tmp_path, a_failure())))
    assert (found["kind"], found["failure"]["code"]) == ("failure", "nothing-to-process")
    assert found["headline"] == "The study was not analysed: no result."


def test_a_report_names_the_product_that_failed(tmp_path: Path) -> None:
    content = a_report(sections=[a_section(), a_section(title="Free water", failure="Only one shell.", rows=[])])
    assert words.headline(content) == "Diffusion tensor imaging: analysed. Free water: FAILED, no result."
    assert "FAILED, no result: Only one shell." in as_text.make(a_request(tmp_path, content)).decode()


def test_the_picture_shows_all_pages_one_below_the_other(tmp_path: Path) -> None:
    """RES-01: PNG."""
    content = a_report(sections=[a_section([a_picture(tmp_path / "fa.png")])])
    with Image.open(io.BytesIO(as_png.make(a_request(tmp_path, content)))) as picture:
        assert picture.width == 993
        assert picture.height > 2 * 1403
        assert picture.info["Title"] == f"Brain MRI analysis report, order {ORDER}"
        assert picture.info["Disclaimer"].startswith("Not for clinical use")
        # Dark print on white paper on the first page, and pictures of the map.
        assert picture.crop((0, 0, 993, 1403)).convert("L").getextrema() == (0, 255)


@pytest.mark.parametrize(
    ("value", "unit", "printed"),
    [
        (0.28741, "", "0.2874"),
        (0.000812, "mm2/s", "0.812 × 10⁻³"),
        (64, "", "64"),
        (181234, "", "181\u202f234"),
        (1423.7, "cm3", "1\u202f424"),
        (0.00012345, "", "1.234 × 10⁻⁴"),
        (-3.2e9, "", "-3.200 × 10⁹"),
        (0, "mm2/s", "0"),
        (None, "mm2/s", "not computable"),
    ],
)
def test_numbers_are_printed_as_a_reader_expects(value: float | None, unit: str, printed: str) -> None:
    assert words.number(value, unit) == printed


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_nobody_can_compute_is_none_and_comes_back_from_every_record(value: float, tmp_path: Path) -> None:
    """RES-01: rows of a product and of a report, as the records keep them, in every format that is made of them."""
    result = msgspec.json.encode(Value(name="fit", label="Fit", value=value))
    assert msgspec.json.decode(result, type=Value).value is None
    was = Earlier(
        days_before=3, study="s", order="o", product="dti", product_version="1", rows=[Row(name="fit", label="", value=value)]
    )
    content = a_report(sections=[a_section(rows=[Row(name="fit", label="Fit", value=value)])], earlier=[was])
    kept = msgspec.json.decode(msgspec.json.encode(content), type=ReportContent)
    assert kept == content
    assert kept.sections[0].rows[0].value is None
    for name in REPORT_FORMATS:
        assert render.render(a_request(tmp_path, kept), name), name


@pytest.mark.parametrize(
    ("text", "printed"),
    [("034Y", "34 years"), ("001D", "1 day"), ("018M", "18 months"), ("63", "63 years"), ("90+", "90+"), ("", "")],
)
def test_ages_are_printed_in_words(text: str, printed: str) -> None:
    assert words.age(text) == printed


@pytest.mark.parametrize(
    ("name", "printed"),
    [
        ("Ranvier^Louise^Antoinette", "Ranvier, Louise Antoinette"),
        ("Yamada^Tarou=山田^太郎=やまだ^たろう", "Yamada, Tarou (山田, 太郎) (やまだ, たろう)"),
        ("=山田^太郎", "山田, 太郎"),
        ("Plain", "Plain"),
        ("^Only", "Only"),
        ("", ""),
    ],
)
def test_person_names_are_printed_as_read(name: str, printed: str) -> None:
    assert words.person(name) == printed


def test_an_order_that_failed_before_quality_control_says_so() -> None:
    assert words.qc_line(a_failure(qc_verdict="", qc_rows=[])) == "Quality control was not reached"


def test_a_failure_in_a_stage_of_another_name_keeps_its_name() -> None:
    assert words.stage("PROCESSING") == "Processing"
    assert words.stage("conversion") == "conversion"


def test_the_empty_report_is_still_a_report(tmp_path: Path) -> None:
    content = ReportContent(
        order=ORDER, report="r", version=1, study="s", study_version=1, made_at="", instances=0, qc_verdict="",
        kind="failure", failure=Failure(code="c", what="", advice="", stage=""),
    )  # fmt: skip
    request = RenderRequest(content=content, out_folder=str(tmp_path), formats=[])
    assert ORDER in as_text.make(request).decode()
    assert json.loads(as_json.make(request))["order"] == ORDER
    assert as_png.make(request).startswith(b"\x89PNG")


def test_key_numbers_say_their_normal_range_and_their_change(tmp_path: Path) -> None:
    """RES-01: on the first page, where a normal range is installed and an earlier study is known."""
    past = Earlier(
        days_before=412,
        study="s",
        order="o",
        product="dti",
        product_version="1.0.0",
        rows=[Row(name="fa_mean", label="FA", value=0.3)],
    )
    section = a_section(rows=[Row(name="fa_mean", label="FA", value=0.2874), Row(name="z_fa_mean", label="z", value=-2.4)])
    content = a_report(sections=[section], earlier=[past])
    assert words.beside(content, section, section.rows[0]) == [
        "below the normal range (z\u00a0=\u00a0-2.4)",
        "−0.0126 since 412 days ago",
    ]
    assert words.beside(content, section, section.rows[1]) == []
    text = " ".join(as_text.make(a_request(tmp_path, content)).decode().split())
    assert "below the normal range (z = -2.4) −0.0126 since 412 days ago" in text
