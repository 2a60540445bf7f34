"""The report's pages as one DICOM Secondary Capture, for archives that show no PDF (PS3.3 section A.8.3)."""

import io
from collections.abc import Iterable
from datetime import datetime

from pydicom import config
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.tag import Tag
from pydicom.uid import UID, ExplicitVRLittleEndian, MultiFrameGrayscaleByteSecondaryCaptureImageStorage

from appliance.moments import uid_of
from appliance.records.identities import PatientIdentity
from appliance.reports import as_png, header, words
from appliance.reports.content import ReportContent
from appliance.reports.sources import Source, reference
from appliance.reports.tracking import derived_id

SERIES_NUMBER = 9700
"""After the report as PDF and as structured report; the report's version is added to it."""
_PAGE_NUMBER_VECTOR = Tag(0x0018, 0x2001)


def capture(
    pdf: bytes,
    identity: PatientIdentity,
    *,
    content: ReportContent,
    sop_instance_uid: str,
    now: datetime,
    identity_on_pages: bool = False,
    sources: Iterable[Source] = (),
) -> bytes:
    """A Part 10 file of SOP class Multi-frame Grayscale Byte Secondary Capture: one frame a page, 8 bits, not compressed.

    The same arguments give the same bytes. `now` is in the time zone of the site. Raises `NoStudy`.
    """
    header.need_study(identity)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = MultiFrameGrayscaleByteSecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.add_implementation(meta)
    target = io.BytesIO()
    dataset = FileDataset(target, {}, preamble=b"\0" * 128, file_meta=meta)
    dataset.SOPClassUID = MultiFrameGrayscaleByteSecondaryCaptureImageStorage
    dataset.SOPInstanceUID = sop_instance_uid
    # As in `encapsulate`: the PACS knows the study by its own values, and a warning would quote them.
    with config.disable_value_validation():
        header.add_patient_and_study(dataset, identity)
        _add_series(dataset, content, now)
        _add_image(dataset, content, now, identity_on_pages, sources)
        _add_pages(dataset, pdf)
        header.set_character_set(dataset, identity.character_set)
        dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def _add_series(dataset: Dataset, content: ReportContent, now: datetime) -> None:
    """General Series and SC Equipment modules (PS3.3 C.7.3.1, C.8.6.1)."""
    dataset.Modality = "OT"
    dataset.Laterality = ""
    dataset.SeriesInstanceUID = uid_of(derived_id("sc-series", content.report))
    dataset.SeriesNumber = SERIES_NUMBER + content.version
    dataset.SeriesDescription = f"Ranvier report, {words.NOTICE.lower()}"
    dataset.ConversionType = "WSD"
    header.add_equipment(dataset, content, now)


def _add_image(
    dataset: Dataset, content: ReportContent, now: datetime, identity_on_pages: bool, sources: Iterable[Source]
) -> None:
    """General Image and SC Multi-frame Image modules (PS3.3 C.7.6.1, C.8.6.3)."""
    dataset.InstanceNumber = content.version
    dataset.PatientOrientation = ""
    dataset.ImageType = ["DERIVED", "SECONDARY"]
    header.add_content_time(dataset, content, now)
    dataset.BurnedInAnnotation = "YES" if identity_on_pages else "NO"
    dataset.ImageComments = f"{words.title(content)}. {words.NOTICE}. Order {content.order}"
    dataset.PresentationLUTShape = "IDENTITY"
    dataset.RescaleIntercept, dataset.RescaleSlope, dataset.RescaleType = 0, 1, "US"
    derived_from = [reference(source) for source in sources]
    if derived_from:
        dataset.SourceImageSequence = derived_from


def _add_pages(dataset: Dataset, pdf: bytes) -> None:
    """Image Pixel, Multi-frame and SC Multi-frame Vector modules (PS3.3 C.7.6.3, C.7.6.6, C.8.6.4)."""
    pages = [page.convert("L") for page in as_png.page_pictures(pdf, as_png.DOTS_PER_INCH)]
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.Columns, dataset.Rows = pages[0].size
    dataset.BitsAllocated = dataset.BitsStored = 8
    dataset.HighBit, dataset.PixelRepresentation = 7, 0
    dataset.NumberOfFrames = len(pages)
    if len(pages) > 1:
        dataset.FrameIncrementPointer = _PAGE_NUMBER_VECTOR
        dataset.PageNumberVector = list(range(1, len(pages) + 1))
    pixels = b"".join(page.tobytes() for page in pages)
    dataset.PixelData = pixels + b"\0" * (len(pixels) % 2)
    dataset["PixelData"].VR = "OB"
