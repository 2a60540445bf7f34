"""The report as a DICOM Encapsulated PDF under the original patient and study (PS3.3 section A.45.1)."""

import io
from collections.abc import Iterable
from datetime import datetime

from pydicom import config
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, EncapsulatedPDFStorage, ExplicitVRLittleEndian

from appliance.records.identities import PatientIdentity
from appliance.reports import header, words
from appliance.reports.codes import REPORT, Code
from appliance.reports.content import ReportContent
from appliance.reports.sources import Source, reference

SERIES_NUMBER = 9000
"""High, so that the report stands after the series of the scanner; the report's version is added to it."""


def encapsulate(
    pdf: bytes,
    identity: PatientIdentity,
    *,
    content: ReportContent,
    sop_instance_uid: str,
    series_instance_uid: str,
    now: datetime,
    identity_on_pages: bool = False,
    sources: Iterable[Source] = (),
) -> bytes:
    """A Part 10 file of SOP class Encapsulated PDF Storage; the same arguments give the same bytes.

    `now` is in the time zone that the site's dates and times are in. `sources` become the Source Instance Sequence. Raises
    `NoStudy` when the identity names no study.
    """
    header.need_study(identity)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = EncapsulatedPDFStorage
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.add_implementation(meta)
    target = io.BytesIO()
    dataset = FileDataset(target, {}, preamble=b"\0" * 128, file_meta=meta)
    dataset.SOPClassUID = EncapsulatedPDFStorage
    dataset.SOPInstanceUID = sop_instance_uid
    # The PACS knows the study by the values it sent, right or wrong; and a warning of pydicom would quote them.
    with config.disable_value_validation():
        header.add_patient_and_study(dataset, identity)
        _add_series(dataset, content, series_instance_uid, now)
        _add_document(dataset, pdf, content, now, identity_on_pages, sources)
        header.set_character_set(dataset, identity.character_set)
        dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def _add_series(dataset: Dataset, content: ReportContent, series_instance_uid: str, now: datetime) -> None:
    """Encapsulated Document Series and SC Equipment modules (PS3.3 C.24.1, C.8.6.1)."""
    dataset.Modality = "DOC"
    dataset.SeriesInstanceUID = series_instance_uid
    dataset.SeriesNumber = SERIES_NUMBER + content.version
    dataset.SeriesDescription = f"Ranvier report, {words.NOTICE.lower()}"
    dataset.ConversionType = "WSD"
    header.add_equipment(dataset, content, now)


def _add_document(
    dataset: Dataset, pdf: bytes, content: ReportContent, now: datetime, identity_on_pages: bool, sources: Iterable[Source]
) -> None:
    """Encapsulated Document module (PS3.3 C.24.2)."""
    dataset.InstanceNumber = content.version
    header.add_content_time(dataset, content, now)
    dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation = "YES" if identity_on_pages else "NO"
    derived_from = [reference(source) for source in sources]
    if derived_from:
        dataset.SourceInstanceSequence = derived_from
    dataset.DocumentTitle = f"{words.title(content)}. {words.NOTICE}. Order {content.order}"
    dataset.ConceptNameCodeSequence = [_code(REPORT)] if content.kind == "report" else []
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocumentLength = len(pdf)
    # An element's value has even length (PS3.5 section 7.1.1); readers of a PDF find its end themselves.
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)


def _code(code: Code) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = code
    return item
