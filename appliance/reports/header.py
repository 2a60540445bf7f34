"""What every DICOM object of a report shares: patient and study of the original, equipment, times, character set."""

import warnings
from datetime import datetime

from pydicom import charset
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from appliance.errors import Failed
from appliance.records.identities import PatientIdentity
from appliance.reports.content import ReportContent

IMPLEMENTATION_CLASS_UID = "2.25.187465303262418217946190514729017383245"
IMPLEMENTATION_VERSION = "RANVIER_1"
MANUFACTURER = "Ranvier"

_UTF8 = "ISO_IR 192"
_DEFAULT_REPERTOIRE = ("", "ISO_IR 6", "ISO 2022 IR 6")
_TEXTS = ("PN", "LO", "SH", "ST", "LT", "UT")


class NoStudy(Failed):
    """The original study's identity is gone, so no DICOM report can be filed with it."""

    code = "identity-gone"
    next_step = "The study was purged; download the report and file it by hand."


class NoImages(Failed):
    """The original images are gone, and a structured report must refer to them."""

    code = "images-gone"
    next_step = "The study was purged; send the report as Encapsulated PDF, or download it and file it by hand."


def need_study(identity: PatientIdentity) -> None:
    """Raises `NoStudy` when the identity names no study."""
    if not identity.study_instance_uid:
        raise NoStudy()


def add_implementation(meta: FileMetaDataset) -> None:
    """Who wrote the file (PS3.10 section 7.1)."""
    meta.ImplementationClassUID = UID(IMPLEMENTATION_CLASS_UID)
    meta.ImplementationVersionName = IMPLEMENTATION_VERSION


def add_patient_and_study(dataset: Dataset, identity: PatientIdentity) -> None:
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


def add_equipment(dataset: Dataset, content: ReportContent, now: datetime) -> None:
    """General Equipment module and the time of creation (PS3.3 C.7.5.1, C.12.1)."""
    dataset.Manufacturer = MANUFACTURER
    dataset.ManufacturerModelName = MANUFACTURER
    dataset.SoftwareVersions = content.provenance.get("ranvier") or content.schema
    dataset.InstanceCreationDate, dataset.InstanceCreationTime = now.strftime("%Y%m%d"), now.strftime("%H%M%S")


def add_content_time(dataset: Dataset, content: ReportContent, now: datetime) -> None:
    """When the report was made, in the time zone of `now`."""
    made = datetime.fromisoformat(content.made_at).astimezone(now.tzinfo)
    dataset.ContentDate, dataset.ContentTime = made.strftime("%Y%m%d"), made.strftime("%H%M%S")


def set_character_set(dataset: Dataset, declared: str) -> None:
    """Keeps the study's own character set where it holds every text of the object, else ISO_IR 192 (PS3.3 C.12.1.1.2)."""
    texts = [str(one.value) for one in dataset.iterall() if one.VR in _TEXTS and one.value]
    terms = [] if declared in _DEFAULT_REPERTOIRE else declared.split("\\")
    if "SpecificCharacterSet" in dataset:
        del dataset.SpecificCharacterSet
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
