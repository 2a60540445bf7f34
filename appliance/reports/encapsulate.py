"""The report as a DICOM Encapsulated PDF under the original patient and study (PS3.3 section A.45.1), and its stage."""

import io
import warnings
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import NamedTuple
from zoneinfo import ZoneInfo

import msgspec
from pydicom import charset, config
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, EncapsulatedPDFStorage, ExplicitVRLittleEndian

from appliance.errors import Failed
from appliance.moments import uid_of
from appliance.records.identities import PatientIdentity
from appliance.reports import words
from appliance.reports.content import EncapsulateRequest, RenderAnswer, RenderRequest, ReportContent, file_name
from appliance.reports.render import render
from appliance.storage import write_durable

IMPLEMENTATION_CLASS_UID = "2.25.187465303262418217946190514729017383245"
IMPLEMENTATION_VERSION = "RANVIER_1"
MANUFACTURER = "Ranvier"
SERIES_NUMBER = 9000
"""High, so that the report stands after the series of the scanner; the report's version is added to it."""

_MEASUREMENT_REPORT = ("126000", "DCM", "Imaging Measurement Report")
"""PS3.16 CID 7021."""
_UTF8 = "ISO_IR 192"
_DEFAULT_REPERTOIRE = ("", "ISO_IR 6", "ISO 2022 IR 6")


class NoStudy(Failed):
    """The original study's identity is gone, so no DICOM report can be filed with it."""

    code = "identity-gone"
    next_step = "The study was purged; download the report and file it by hand."


class Source(NamedTuple):
    """One original instance that the report's numbers come from."""

    sop_class_uid: str
    sop_instance_uid: str


def run(request: EncapsulateRequest, progress: Callable[[float, str], None]) -> RenderAnswer:
    """Draws the pages, with the patient where the destination asks for it, and writes the DICOM file; raises `NoStudy`."""
    progress(0.0, "drawing the pages")
    content = request.content
    pages = RenderRequest(
        content=content,
        out_folder=request.out_folder,
        formats=["pdf"],
        page_identity=request.page_identity,
        paper=request.paper,
    )
    made = encapsulate(
        render(pages, "pdf"),
        msgspec.convert(request.identity, PatientIdentity),
        content=content,
        sop_instance_uid=request.sop_instance_uid,
        series_instance_uid=uid_of(content.report),
        now=datetime.fromtimestamp(request.created_at / 1000, ZoneInfo(request.time_zone)),
        identity_on_pages=request.page_identity is not None,
    )
    name = file_name(content.order, content.kind, content.version, "dcm")
    write_durable(Path(request.out_folder) / name, made)
    progress(1.0, "DICOM object written")
    return RenderAnswer(files={"dicom-pdf": name})


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
    if not identity.study_instance_uid:
        raise NoStudy()
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = EncapsulatedPDFStorage
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION
    target = io.BytesIO()
    dataset = FileDataset(target, {}, preamble=b"\0" * 128, file_meta=meta)
    dataset.SOPClassUID = EncapsulatedPDFStorage
    dataset.SOPInstanceUID = sop_instance_uid
    # The PACS knows the study by the values it sent, right or wrong; and a warning of pydicom would quote them.
    with config.disable_value_validation():
        _add_patient_and_study(dataset, identity)
        _add_series_and_equipment(dataset, content, series_instance_uid, now)
        _add_document(dataset, pdf, content, now, identity_on_pages, sources)
        _set_character_set(dataset, identity.character_set)
        dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def _add_patient_and_study(dataset: Dataset, identity: PatientIdentity) -> None:
    """Patient, General Study and Patient Study modules (PS3.3 C.7.1.1, C.7.2.1, C.7.2.2), as the original study has them."""
    dataset.PatientName = identity.patient_name
    dataset.PatientID = identity.patient_id
    if identity.issuer:
        dataset.IssuerOfPatientID = identity.issuer
    dataset.PatientBirthDate = identity.birth_date
    dataset.PatientSex = identity.sex
    if identity.age:
        dataset.PatientAge = identity.age
    dataset.StudyInstanceUID = identity.study_instance_uid
    dataset.StudyDate = identity.study_date
    dataset.StudyTime = identity.study_time
    dataset.ReferringPhysicianName = identity.referring_physician
    dataset.StudyID = identity.study_id
    dataset.AccessionNumber = identity.accession
    if identity.study_description:
        dataset.StudyDescription = identity.study_description


def _add_series_and_equipment(dataset: Dataset, content: ReportContent, series_instance_uid: str, now: datetime) -> None:
    """Encapsulated Document Series, General and SC Equipment modules (PS3.3 C.24.1, C.7.5.1, C.8.6.1)."""
    dataset.Modality = "DOC"
    dataset.SeriesInstanceUID = series_instance_uid
    dataset.SeriesNumber = SERIES_NUMBER + content.version
    dataset.SeriesDescription = f"Ranvier report, {words.NOTICE.lower()}"
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = MANUFACTURER
    dataset.SoftwareVersions = content.provenance.get("ranvier") or content.schema
    dataset.ConversionType = "WSD"
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")


def _add_document(
    dataset: Dataset, pdf: bytes, content: ReportContent, now: datetime, identity_on_pages: bool, sources: Iterable[Source]
) -> None:
    """Encapsulated Document module (PS3.3 C.24.2)."""
    made = datetime.fromisoformat(content.made_at).astimezone(now.tzinfo)
    dataset.InstanceNumber = content.version
    dataset.ContentDate, dataset.ContentTime = made.strftime("%Y%m%d"), made.strftime("%H%M%S")
    dataset.AcquisitionDateTime = ""
    dataset.BurnedInAnnotation = "YES" if identity_on_pages else "NO"
    derived_from = [_reference(source) for source in sources]
    if derived_from:
        dataset.SourceInstanceSequence = derived_from
    dataset.DocumentTitle = f"{words.title(content)}. {words.NOTICE}. Order {content.order}"
    dataset.ConceptNameCodeSequence = [_code(*_MEASUREMENT_REPORT)] if content.kind == "report" else []
    dataset.VerificationFlag = "UNVERIFIED"
    dataset.MIMETypeOfEncapsulatedDocument = "application/pdf"
    dataset.EncapsulatedDocumentLength = len(pdf)
    # An element's value has even length (PS3.5 section 7.1.1); readers of a PDF find its end themselves.
    dataset.EncapsulatedDocument = pdf + b"\0" * (len(pdf) % 2)


def _reference(source: Source) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = source
    return item


def _code(value: str, scheme: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, scheme, meaning
    return item


def _set_character_set(dataset: Dataset, declared: str) -> None:
    """Keeps the study's own character set where it holds every text of the object, else ISO_IR 192 (PS3.3 C.12.1.1.2)."""
    texts = [str(element.value) for element in dataset if element.VR in ("PN", "LO", "SH", "ST", "LT", "UT") and element.value]
    terms = [] if declared in _DEFAULT_REPERTOIRE else declared.split("\\")
    if terms and all(_holds(terms, text) for text in texts):
        dataset.SpecificCharacterSet = terms
    elif terms or not all(text.isascii() for text in texts):
        dataset.SpecificCharacterSet = _UTF8


def _holds(terms: list[str], text: str) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            codecs = charset.convert_encodings(terms)
            return charset.decode_bytes(charset.encode_string(text, codecs), codecs, set()) == text
        except (ValueError, LookupError, UserWarning):
            return False
