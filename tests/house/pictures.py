"""The pictures of the README, made from the console's snapshots and from a phantom's report.

python -m tests.house.pictures --write
"""

import io
import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "appliance" / "docs" / "pictures"
SNAPSHOTS = ROOT / "tests" / "tui" / "__snapshots__" / "test_pictures"
SCREENS = {
    "studies": "test_studies_are_listed_with_their_patients_hidden[100x30]",
    "study": "test_a_study_that_failed_qc_says_why_and_what_to_do[100x30]",
    "settings": "test_settings_are_forms_with_what_changed_marked[100x30]",
}
REPORT_WIDTH = 760
_FROM_ELSEWHERE = re.compile(r"@font-face\s*\{.*?\}\s*|<!--.*?-->\s*", re.DOTALL)


def screen(name: str) -> str:
    """A snapshot as a page shows it: without the fonts that it would fetch, and addresses that it names, elsewhere."""
    return _FROM_ELSEWHERE.sub("", (SNAPSHOTS / f"{SCREENS[name]}.svg").read_text(encoding="utf-8"))


def report() -> bytes:
    """The first page of a report on a phantom, computed and drawn as the appliance does it."""
    import pypdfium2
    from PIL import Image

    from appliance.products.manifest import ProductRequest, ProductResult
    from appliance.products.run import run as compute
    from appliance.reports.content import PictureFile, ProductSection, RenderRequest, ReportContent, Row
    from appliance.reports.render import render
    from tests.phantoms import a_diffusion_study

    def silent(_fraction: float, _step: str) -> None:
        return None

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        a_diffusion_study(folder / "study", slices=32, shape=(96, 96))
        (folder / "out").mkdir()
        asked = ProductRequest(product="dti", in_folder=str(folder / "study"), out_folder=str(folder / "out"))
        found: ProductResult = compute(asked, silent)
        section = ProductSection(
            product=found.product,
            version=found.version,
            title=found.title,
            intended_use=found.intended_use,
            rows=[Row(name=one.name, label=one.label, value=one.value, unit=one.unit, note=one.note) for one in found.values],
            pictures=[PictureFile(path=str(folder / "out" / one.file), title=one.title) for one in found.pictures],
            notes=found.notes,
        )
        identifier = "01a2016c-f1eb-70fb-8f5f-eaad0c01c811"
        content = ReportContent(
            order=identifier,
            report=identifier,
            version=1,
            study=identifier,
            study_version=1,
            made_at="2026-11-22T04:04:35.000Z",
            site="ranvier-demo",
            instances=len(list((folder / "study").iterdir())),
            age="068Y",
            age_origin="dicom",
            sex="F",
            sex_origin="dicom",
            qc_verdict="passed",
            sections=[section],
        )
        pages = render(RenderRequest(content=content, out_folder=name, formats=["pdf"]), "pdf")
    with pypdfium2.PdfDocument(pages) as document:
        page = document[0].render(scale=2).to_pil()
    page = page.resize((REPORT_WIDTH, round(page.height * REPORT_WIDTH / page.width)), Image.Resampling.LANCZOS)
    target = io.BytesIO()
    page.convert("P", palette=Image.Palette.ADAPTIVE, colors=128).save(target, "PNG", optimize=True)
    return target.getvalue()


def main(arguments: list[str]) -> int:
    """Writes the pictures with `--write`."""
    if arguments != ["--write"]:
        print(__doc__, file=sys.stderr)
        return 64
    PICTURES.mkdir(exist_ok=True)
    for name in SCREENS:
        (PICTURES / f"{name}.svg").write_text(screen(name), encoding="utf-8")
    (PICTURES / "report.png").write_bytes(report())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
