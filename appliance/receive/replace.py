"""The stage that gives uploaded images numbers of our own: patient ID, accession number, and every UID that names something.

Numbers from elsewhere are unique where they were given and nowhere else: kept as they are, an upload could land on another
patient, or in a study that is held already. The new ones come from a key of the submission (HMAC-SHA256), so that doing it
again gives the same and nobody can compute them. The preamble, in which another format may hide, becomes zeros.
"""

import hmac
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final
from uuid import UUID

import msgspec

from appliance.errors import Failed
from appliance.foreign import FAULTS
from appliance.moments import id_of_digest, uid_of

if TYPE_CHECKING:
    from pydicom import Dataset

_LARGE = 1 << 20
_PATIENT_ID, _ISSUER, _ACCESSION = 0x00100020, 0x00100021, 0x00080050
_GONE: Final = frozenset({0x00101000, 0x00101001, 0x00101002, 0x00080051, 0x00100024})
"""Other patient IDs and names, and who issued what is replaced (PS3.3 C.7.1.1, C.7.2.1)."""
_UIDS: Final = frozenset(
    {
        *(0x00080018, 0x00081155, 0x0020000D, 0x0020000E, 0x00200052, 0x00200200, 0x00083010, 0x00209161, 0x00209164),
        *(0x0040A124, 0x0040A171, 0x00081195, 0x30060024, 0x300600C2, 0x00281199, 0x00880140, 0x04000100, 0x0070031A),
        *(0x00080058, 0x00020003, 0x00203010, 0x00081167),
    }
)
"""Attributes of VR UI that name an object of the world, not a class or a coding scheme."""
ISSUER: Final = "RANVIER-UPLOAD"


class ReplaceRequest(msgspec.Struct, kw_only=True, frozen=True):
    """Which files, where to, and the key of their submission."""

    in_folder: str
    out_folder: str
    key: str


class ReplacedStudy(msgspec.Struct, kw_only=True, frozen=True):
    """One study: what it was called, and what it is called now."""

    study_uid: str
    new_study_uid: str
    patient_id: str
    issuer: str
    accession: str
    files: int


class ReplaceAnswer(msgspec.Struct, kw_only=True, frozen=True):
    """What there was."""

    studies: list[ReplacedStudy]
    unreadable: int
    patients: int


class NoImages(Failed):
    """There is no readable DICOM image in it."""

    code = "no-images"
    next_step = "Choose the folder or ZIP that holds the images; at least one DICOM file is needed."


def run(request: ReplaceRequest, progress: Callable[[float, str], None]) -> ReplaceAnswer:
    """Rewrites every file; raises `NoImages` when none can be read."""
    files = sorted(one for one in Path(request.in_folder).rglob("*") if one.is_file() and one.suffix != ".other")
    numbers, studies, unreadable = Numbers(request.key), dict[str, ReplacedStudy](), 0
    patients = set[str]()
    for count, path in enumerate(files, start=1):
        try:
            found = _rewritten(path, Path(request.out_folder) / f"{count:06}.dcm", numbers)
        except FAULTS:
            unreadable += 1
            (Path(request.out_folder) / f"{count:06}.dcm").unlink(missing_ok=True)
        else:
            known = studies.get(found.study_uid, found)
            studies[found.study_uid] = msgspec.structs.replace(known, files=known.files + 1)
            patients.add(numbers.patient_of[found.study_uid])
        progress(count / len(files), "looking through")
    if not studies:
        raise NoImages()
    return ReplaceAnswer(studies=list(studies.values()), unreadable=unreadable, patients=len(patients))


class Numbers:
    """The numbers of one submission."""

    def __init__(self, key: str) -> None:
        self._key = bytes.fromhex(key)
        self.patient_of: dict[str, str] = {}

    def _digest(self, kind: str, text: str) -> str:
        return hmac.digest(self._key, f"{kind}\x1f{text}".encode(), "sha256").hex()

    def uid(self, uid: str) -> str:
        """The new UID for one of theirs; classes and other UIDs of the standard stay."""
        return uid if not uid or uid.startswith("1.2.840.10008.") else uid_of(str(UUID(id_of_digest(self._digest("uid", uid)))))

    def patient(self, *parts: str) -> str:
        """The new patient ID for what says who somebody is."""
        return f"UPL-{self._digest('patient', chr(31).join(parts))[:16].upper()}"

    def accession(self, accession: str, study_uid: str) -> str:
        """The new accession number of a study."""
        return f"U{self._digest('accession', f'{accession}{chr(31)}{study_uid}')[:13].upper()}"


def _rewritten(path: Path, target: Path, numbers: Numbers) -> ReplacedStudy:
    from pydicom import dcmread

    dataset = dcmread(path, defer_size=_LARGE)
    original = ReplacedStudy(
        study_uid=str(dataset.StudyInstanceUID),
        new_study_uid=numbers.uid(str(dataset.StudyInstanceUID)),
        patient_id=str(dataset.get("PatientID", "") or ""),
        issuer=str(dataset.get("IssuerOfPatientID", "") or ""),
        accession=str(dataset.get("AccessionNumber", "") or ""),
        files=0,
    )
    if not original.study_uid or not str(dataset.SOPInstanceUID) or not str(dataset.SeriesInstanceUID):
        raise ValueError("an image without its UIDs")
    name, birth = str(dataset.get("PatientName", "") or ""), str(dataset.get("PatientBirthDate", "") or "")
    who = (original.issuer, original.patient_id, birth) if original.patient_id else ("", "", name.upper(), birth)
    patient = numbers.patient_of[original.study_uid] = numbers.patient(*who)
    _replace(dataset, patient, numbers.accession(original.accession, original.study_uid), numbers, 0)
    dataset.PatientID, dataset.IssuerOfPatientID = patient, ISSUER
    dataset.AccessionNumber = numbers.accession(original.accession, original.study_uid)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.preamble = b"\0" * 128
    dataset.save_as(target, enforce_file_format=True)
    return original


def _replace(dataset: "Dataset", patient: str, accession: str, numbers: Numbers, depth: int) -> None:
    """Replaces in a data set and the items of its sequences; only what must be looked at is decoded."""
    from pydicom.datadict import dictionary_VR

    if depth > 64:
        raise ValueError("sequences nest too deep")
    for tag in list(dataset.keys()):
        number = int(tag)
        if number in _GONE:
            del dataset[tag]
        elif number == _PATIENT_ID:
            dataset[tag].value = patient
        elif number == _ACCESSION:
            dataset[tag].value = accession
        elif number in _UIDS:
            value = dataset[tag].value
            one = not isinstance(value, list | tuple) and not hasattr(value, "append")
            dataset[tag].value = numbers.uid(str(value or "")) if one else [numbers.uid(str(each)) for each in value]
        else:
            element = dataset.get_item(tag)
            vr = element.VR if element is not None else None
            if vr is None and not tag.is_private:
                try:
                    vr = dictionary_VR(tag)
                except KeyError:
                    vr = "UN"
            if vr == "SQ":
                for item in dataset[tag].value:
                    _replace(item, patient, accession, numbers, depth + 1)
