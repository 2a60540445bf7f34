"""Reports with known words and numbers."""

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, MRImageStorage

from appliance.reports.content import (
    Failure,
    PageIdentity,
    PictureFile,
    ProductSection,
    QcRow,
    RenderRequest,
    ReportContent,
    Row,
)

ORDER = "019ab6de-1f2a-7c3d-8e4f-5a6b7c8d9e0f"
REPORT = "019ab6df-3344-7abc-9def-001122334455"
STUDY = "019ab6d0-0000-7111-8222-333344445555"
CAVEATS = [
    "Quality control was bypassed by the operator admin: the site accepts the low number of directions.",
    "The sex given on the form (F) differs from the DICOM header (M); the form was used.",
]
HOSTILE = "<b>bold</b> {{7*7}} ${HOME}\r\nSet-Cookie: a=b \x1b[31mred\x1b[0m \u202egnp.exe & =cmd() [red]x[/red]"


def a_picture(path: Path, title: str = "Fractional anisotropy, axial, 0 to 1") -> PictureFile:
    """A montage of round grey slices, as a map's picture looks."""
    rows, columns, side = 3, 6, 96
    across, down = np.meshgrid(np.linspace(-1, 1, side), np.linspace(-1, 1, side))
    radius = np.hypot(across / 0.8, down / 0.95)
    sheet = np.zeros((rows * side, columns * side))
    for place in range(rows * columns):
        row, column = divmod(place, columns)
        one = np.where(radius < 1, 0.25 + 0.5 * np.cos(radius * (4 + place / 3)) ** 2, 0)
        sheet[row * side : (row + 1) * side, column * side : (column + 1) * side] = one
    Image.fromarray((sheet * 255).astype(np.uint8)).save(path)
    return PictureFile(path=str(path), title=title)


def a_section(pictures: list[PictureFile] | None = None, **changes: Any) -> ProductSection:
    """The diffusion tensor product's part."""
    section = ProductSection(
        product="dti",
        version="1.0.0",
        title="Diffusion tensor imaging",
        intended_use="Maps and summary numbers of the diffusion tensor for research.",
        rows=[
            Row(name="fa_mean", label="FA, mean in the brain", value=0.2874),
            Row(name="md_median", label="MD, median in the brain", value=0.000812, unit="mm2/s"),
            Row(name="directions", label="Gradient directions", value=64),
            Row(name="brain_volume", label="Brain mask volume", value=1423.7, unit="cm3"),
            Row(
                name="ad_median",
                label="AD, median in the brain",
                value=0.001131,
                unit="mm2/s",
                note="parallel to the main axis",
            ),
            Row(name="rd_median", label="RD, median in the brain", value=0.000654, unit="mm2/s"),
            Row(name="residual", label="Fit residual, median", value=float("nan"), note="one shell only"),
            Row(name="voxels", label="Voxels fitted", value=181234),
        ],
        pictures=pictures or [],
        notes=["The tensor was fitted to the series as it came: no correction of motion, eddy currents or distortion."],
        provenance={"dcm2niix": "v1.0.20250506", "DIPY": "1.12.1", "Fit": "weighted least squares"},
    )
    return msgspec.structs.replace(section, **changes)


def qc_rows() -> list[QcRow]:
    """Eight checks, one with each verdict."""
    return [
        QcRow(title="DICOM conformance", verdict="passed", found="72 of 72 files readable", expected="every file readable"),
        QcRow(title="One patient, one study", verdict="passed", found="1 patient, 1 study", expected="1 patient, 1 study"),
        QcRow(
            title="Age and sex", verdict="bypassed", found="no age", expected="an age from 18 to 100 years",
            action="Give the age with the order, or have the scanner fill in (0010,1010).",
        ),
        QcRow(title="Lossy compression", verdict="passed", found="none", expected="none"),
        QcRow(title="b=0 images", verdict="passed", found="5", expected="at least 1"),
        QcRow(
            title="Gradient directions", verdict="warning", found="12", expected="30 or more; at least 6",
            action="Use the protocol with 30 directions next time.",
        ),
        QcRow(title="Slice spacing", verdict="passed", found="2.0 mm, no gap", expected="no gap"),
        QcRow(title="T1 series", verdict="not-applicable", found="none", expected="none needed"),
    ]  # fmt: skip


def a_report(**changes: Any) -> ReportContent:
    """A report with every kind of content."""
    content = ReportContent(
        order=ORDER,
        report=REPORT,
        version=1,
        study=STUDY,
        study_version=1,
        made_at="2026-11-22T13:31:05.120Z",
        site="Neuroradiology, St. Anna",
        instances=680,
        age="34 years",
        age_origin="dicom",
        sex="F",
        sex_origin="form",
        qc_verdict="bypassed",
        qc_rows=qc_rows(),
        caveats=CAVEATS,
        sections=[a_section()],
        provenance={"Ranvier": "0.1.0", "Python": "3.11.2", "De-identification profile": "basic 2026a"},
    )
    return msgspec.structs.replace(content, **changes)


def a_failure(**changes: Any) -> ReportContent:
    """A failure report."""
    failed = QcRow(
        title="Gradient directions", verdict="failed", found="3", expected="at least 6",
        action="Send the diffusion series with all its directions, or repeat the scan.",
    )  # fmt: skip
    content = a_report(
        kind="failure",
        sections=[],
        caveats=[],
        qc_verdict="failed",
        qc_rows=[*qc_rows()[:2], failed],
        failure=Failure(
            code="nothing-to-process",
            what="No series of this study is input of the product Diffusion tensor imaging.",
            advice="Check in the QC report which series were found; send the diffusion series and run the order again.",
            stage="QUEUED",
        ),
    )
    return msgspec.structs.replace(content, **changes)


def a_request(folder: Path, content: ReportContent | None = None, **changes: Any) -> RenderRequest:
    """All formats of a report."""
    request = RenderRequest(
        content=content or a_report(), out_folder=str(folder), formats=["json", "txt", "pdf", "png"], paper="A4"
    )
    return msgspec.structs.replace(request, **changes)


IDENTITY = PageIdentity(patient_name="Ranvier^Louise^Antoinette", patient_id="PAT-0042", birth_date="19921205")


def original_images(folder: Path, study_instance_uid: str, count: int = 3) -> list[str]:
    """Headers of original images as they lie below a study."""
    paths = []
    for number in range(1, count + 1):
        header = Dataset()
        header.SOPClassUID, header.SOPInstanceUID = MRImageStorage, f"1.2.3.{number}"
        header.StudyInstanceUID, header.SeriesInstanceUID = study_instance_uid, f"1.2.{1 + number % 2}"
        header.file_meta = FileMetaDataset()
        header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        paths.append(str(folder / f"{number}.dcm"))
        header.save_as(paths[-1], enforce_file_format=True)
    return paths
