"""The PDF: read back by another program, word by word, and looked at in grey."""

import ctypes
import re
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pypdfium2
import pypdfium2.raw as pdfium
import pytest
from PIL import Image

from appliance.reports import as_pdf, document, render, words
from appliance.reports.content import PageIdentity, RenderRequest
from appliance.reports.inert import inert_struct
from tests.servers import program
from tests.unit.reports.samples import (
    CAVEATS,
    HOSTILE,
    IDENTITY,
    ORDER,
    a_failure,
    a_picture,
    a_report,
    a_request,
    a_section,
    qc_rows,
)


def pages_of(pdf: bytes) -> list[str]:
    """The text of each page with single spaces."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        return [" ".join(page.get_textpage().get_text_range().split()) for page in document]
    finally:
        document.close()


def a_full_request(folder: Path, **changes: object) -> RenderRequest:
    pictures = [a_picture(folder / "fa.png"), a_picture(folder / "md.png", "Mean diffusivity")]
    return a_request(folder, a_report(sections=[a_section(pictures)]), **changes)


def test_the_first_page_alone_carries_what_a_reader_must_know(tmp_path: Path) -> None:
    """RES-01: verdict, caveats, origin of age and sex, key numbers and limits on the first page."""
    first = pages_of(as_pdf.make(a_full_request(tmp_path)))[0]
    for expected in (
        "NOT FOR CLINICAL USE",
        "Diffusion tensor imaging: analysed.",
        "Quality control BYPASSED by a person (8 checks: 5 passed, 1 with warning, 1 bypassed, 1 not applicable)",
        "Read this first",
        *CAVEATS,
        "Age 34 years (from the DICOM header)",
        "Sex F (given on a form)",
        "0.2874",
        "0.812 × 10⁻³",
        "What this report does not say",
        *words.limits(a_report()),
    ):
        assert expected in first


@pytest.mark.parametrize(("paper", "size"), [("A4", (595, 842)), ("Letter", (612, 792))])
def test_every_page_has_the_order_its_number_and_the_notice(tmp_path: Path, paper: str, size: tuple[int, int]) -> None:
    """RES-05: pages carry the order ID; A4 and Letter, page n of m."""
    pdf = as_pdf.make(a_full_request(tmp_path, paper=paper))
    pages = pages_of(pdf)
    assert len(pages) >= 2
    for number, text in enumerate(pages, 1):
        assert f"Order {ORDER}" in text
        assert f"Page {number} of {len(pages)}" in text
        assert "NOT FOR CLINICAL USE" in text
        assert "PAT-0042" not in text
    document = pypdfium2.PdfDocument(pdf)
    assert {tuple(round(one) for one in page.get_size()) for page in document} == {size}
    document.close()


def test_identity_stands_on_every_page_where_it_is_asked_for(tmp_path: Path) -> None:
    """RES-05: patient ID, birth date and name on the pages of DICOM destinations."""
    for text in pages_of(as_pdf.make(a_full_request(tmp_path, page_identity=IDENTITY))):
        assert "Patient: Ranvier, Louise Antoinette Patient ID: PAT-0042 Born: 1992-12-05" in text


def test_a_very_long_name_is_cut_but_never_the_patient_id(tmp_path: Path) -> None:
    identity = PageIdentity(patient_name="Wolfeschlegel" * 20 + "^Hubert", patient_id="PAT-0042", birth_date="19700101")
    (first, *_) = pages_of(as_pdf.make(a_request(tmp_path, page_identity=identity)))
    assert "… Patient ID: PAT-0042 Born: 1970-01-01" in first


def test_the_table_the_checks_and_the_provenance_follow(tmp_path: Path) -> None:
    text = " ".join(pages_of(as_pdf.make(a_full_request(tmp_path))))
    for expected in (
        "RD, median in the brain",
        "not computable",
        "The tensor was fitted to the series as it came",
        "Fractional anisotropy, axial, 0 to 1",
        "Gradient directions",
        "30 or more; at least 6",
        "Use the protocol with 30 directions next time.",
        "v1.0.20250506",
        "basic 2026a",
        "ranvier-report/1",
    ):
        assert expected in text


def test_a_failure_report_says_what_happened_why_and_what_to_do(tmp_path: Path) -> None:
    """RES-01: failure report as PDF."""
    (page,) = pages_of(as_pdf.make(a_request(tmp_path, a_failure())))
    for expected in (
        "Brain MRI failure report",
        "The study was not analysed: no result.",
        "What happened No series of this study is input of the product",
        "Why It ended in the step “Queued”; the code for support is nothing-to-process.",
        "Gradient directions: found 3, expected at least 6.",
        "What to do",
        "Send the diffusion series with all its directions",
    ):
        assert expected in page


def test_the_document_has_a_title_a_language_and_no_patient(tmp_path: Path) -> None:
    """RES-01: title metadata."""
    pdf = as_pdf.make(a_full_request(tmp_path, page_identity=IDENTITY))
    document = pypdfium2.PdfDocument(pdf)
    facts = document.get_metadata_dict()
    document.close()
    assert facts["Title"] == f"Brain MRI analysis report, order {ORDER}"
    assert "PAT-0042" not in str(facts)
    assert "Ranvier^" not in str(facts)
    assert b"/Lang (en)" in pdf
    assert b"/DisplayDocTitle true" in pdf


def test_all_fonts_that_draw_text_are_embedded(tmp_path: Path) -> None:
    document = pypdfium2.PdfDocument(as_pdf.make(a_full_request(tmp_path, page_identity=IDENTITY)))
    seen = set()
    for page in document:
        for found in page.get_objects([pdfium.FPDF_PAGEOBJ_TEXT]):
            font = pdfium.FPDFTextObj_GetFont(found.raw)
            name = ctypes.create_string_buffer(64)
            pdfium.FPDFFont_GetBaseFontName(font, name, 64)
            seen.add((name.value.decode(), pdfium.FPDFFont_GetIsEmbedded(font)))
    document.close()
    assert seen
    assert {embedded for _, embedded in seen} == {1}
    assert all("DejaVuSansCondensed" in name for name, _ in seen)


def test_the_same_request_gives_the_same_bytes(tmp_path: Path) -> None:
    """RES-04: a report made again for a retry is the same report."""
    request = a_full_request(tmp_path)
    again = msgspec.structs.replace(request)
    assert as_pdf.make(request) == as_pdf.make(again)


def test_the_pages_are_drawn_once_for_all_formats_that_hold_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PNG and FHIR hold what the PDF holds; drawing is the slow part."""
    drawn: list[object] = []
    real = document.pdf

    def counted(*given: Any) -> bytes:
        drawn.append(given)
        return real(*given)

    monkeypatch.setattr(document, "pdf", counted)
    render.run(a_request(tmp_path / "r", formats=["pdf", "png", "fhir"]), lambda fraction, step: None)
    assert len(drawn) == 1


def test_hostile_text_is_printed_and_never_obeyed(tmp_path: Path) -> None:
    """Faults, tags: markup, templates, escape sequences and direction overrides stand inert in the report."""
    content = inert_struct(
        a_report(
            site=HOSTILE,
            caveats=[HOSTILE, "<a href='javascript:x'>y</a><img src='/etc/passwd'/>", "&lt; & <para>"],
            sections=[a_section(title=HOSTILE, notes=[HOSTILE])],
            qc_rows=[*qc_rows()[:1]],
        )
    )
    identity = inert_struct(PageIdentity(patient_name=HOSTILE, patient_id="<b>1</b>", birth_date="{{7*7}}"))
    pdf = as_pdf.make(a_request(tmp_path, content, page_identity=identity))
    text = " ".join(pages_of(pdf))
    assert "<b>bold</b> {{7*7}} ${HOME} Set-Cookie: a=b [31mred[0m gnp.exe & =cmd() [red]x[/red]" in text
    assert "<a href='javascript:x'>y</a><img src='/etc/passwd'/>" in text
    assert "&lt; & <para>" in text
    assert "Patient ID: <b>1</b>" in text
    for forbidden in (b"/URI", b"/JavaScript", b"/OpenAction", b"/Launch", b"/EmbeddedFile"):
        assert forbidden not in pdf


def test_names_in_other_scripts_are_drawn_or_visibly_marked(tmp_path: Path) -> None:
    greek = PageIdentity(patient_name="Διονυσιος^Αθηνά", patient_id="1")
    assert "Διονυσιος, Αθηνά" in pages_of(as_pdf.make(a_request(tmp_path, page_identity=greek)))[0]
    chinese = PageIdentity(patient_name="Wang^XiaoDong=王^小东", patient_id="2")
    page = pages_of(as_pdf.make(a_request(tmp_path, page_identity=chinese)))[0]
    assert "Wang, XiaoDong (□, □□)" in page
    assert "□ stands for a character that this report's font lacks; the DICOM header has it." in page


def test_a_picture_that_cannot_be_read_is_said_and_the_report_goes_on(tmp_path: Path) -> None:
    broken = a_picture(tmp_path / "fa.png")
    (tmp_path / "fa.png").write_bytes(b"not a picture")
    text = " ".join(pages_of(as_pdf.make(a_request(tmp_path, a_report(sections=[a_section([broken])])))))
    assert "This picture could not be read." in text


def pictures_of(pdf: bytes) -> list[tuple[int, int]]:
    """Width and height in pixels of every picture, in the order of the pages."""
    document = pypdfium2.PdfDocument(pdf)
    try:
        kinds = [pdfium.FPDF_PAGEOBJ_IMAGE]
        return [one.get_px_size() for page in document for one in page.get_objects(filter=kinds)]
    finally:
        document.close()


def test_the_pictures_of_quality_control_stand_below_its_table_and_say_what_they_show(tmp_path: Path) -> None:
    """QC-04, QC-06: one picture a check that has one, with its caption."""
    rows = qc_rows()
    for number, (at, size) in enumerate(((5, (64, 32)), (6, (40, 50)))):
        path = tmp_path / f"picture-{number}.png"
        Image.new("RGB", size, (200, 40, 40)).save(path)
        rows[at] = msgspec.structs.replace(rows[at], picture=str(path), caption=f"Caption number {number}.")
    pdf = as_pdf.make(a_request(tmp_path, a_report(qc_rows=rows)))
    assert pictures_of(pdf) == [(64, 32), (40, 50)]
    text = " ".join(pages_of(pdf))
    assert "Gradient directions. Caption number 0." in text
    assert (
        text.index("What to do") < text.index("Gradient directions. Caption number 0.") < text.index("Slice spacing. Caption")
    )
    assert pictures_of(as_pdf.make(a_request(tmp_path, a_report()))) == []


def test_long_words_and_hundreds_of_rows_stay_on_the_paper(tmp_path: Path) -> None:
    rows = [*qc_rows() * 40]
    content = a_report(caveats=["x" * 3000], sections=[a_section(notes=["word " * 4000])], qc_rows=rows)
    pages = pages_of(as_pdf.make(a_request(tmp_path, content)))
    assert len(pages) > 5
    assert f"Page {len(pages)} of {len(pages)}" in pages[-1]


def test_the_pdf_is_tagged_in_reading_order_with_tables_and_words_for_pictures(tmp_path: Path) -> None:
    """RES-01: tagged; read back by poppler, which knows nothing of how it was made."""
    content = a_report(sections=[a_section([a_picture(tmp_path / "fa.png", "FA of the brain (axial)")])])
    file = tmp_path / "r.pdf"
    file.write_bytes(as_pdf.make(a_request(tmp_path, content)))
    told = subprocess.run([program("pdfinfo", "poppler-utils"), str(file)], capture_output=True, text=True, check=True).stdout
    assert re.search(r"Tagged: +yes", told)
    argv = [program("pdfinfo", "poppler-utils"), "-struct-text", str(file)]
    tree = subprocess.run(argv, capture_output=True, text=True, check=True)
    assert tree.stderr == ""
    lines = [line.strip() for line in tree.stdout.splitlines()]
    assert lines[:2] == ["Document", "H1 (block)"]
    assert {"H2", "P", "Table", "TR", "TH", "TD", "Figure"} <= {line.partition(" ")[0] for line in lines}
    said = [line for line in lines if line.startswith('"')]
    assert "Page 1 of" not in " ".join(said), "what stands on the edge is no content"
    wanted = ("analysed", "Read this", "key numbers", "Provenance")
    places = [next(at for at, line in enumerate(said) if word in line) for word in wanted]
    assert places == sorted(places)
    assert b"/Alt (FA of the brain" in file.read_bytes()
