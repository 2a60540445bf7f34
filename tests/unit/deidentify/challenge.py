"""Studies with a key of required actions, like those of MIDI-B: text, date, UID, private, nested, pixel, retain.

Each study is of an invented person and one modality; the key says for places of the output what must be true. Outputs are read
with pydicom, which neither the engine nor the verifier reads with.
"""

import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import UID

from tests.unit.deidentify.people import Person, a_person, a_text
from tests.unit.deidentify.planted import an_instance

MODALITIES: dict[str, str] = {
    "MR": "1.2.840.10008.5.1.4.1.1.4",
    "CT": "1.2.840.10008.5.1.4.1.1.2",
    "PT": "1.2.840.10008.5.1.4.1.1.128",
    "US": "1.2.840.10008.5.1.4.1.1.6.1",
    "CR": "1.2.840.10008.5.1.4.1.1.1",
    "MG": "1.2.840.10008.5.1.4.1.1.1.2",
}
LEAVING = ("MR", "CT", "PT")
"""The others are no input of a product: the required action is that nothing of them leaves."""
TEXTS = ("StudyDescription", "SeriesDescription", "ProtocolName", "ImageComments", "DerivationDescription")
DATES = ("StudyDate", "SeriesDate", "AcquisitionDate", "ContentDate", "InstanceCreationDate")
RETAINED = (
    "ImageType", "Modality", "Manufacturer", "ManufacturerModelName", "BodyPartExamined", "PixelSpacing", "SliceThickness",
    "EchoTime", "RepetitionTime", "ImagePositionPatient", "ImageOrientationPatient", "DiffusionBValue", "SeriesNumber",
    "InstanceNumber", "Rows", "Columns", "BitsStored", "SOPClassUID",
)  # fmt: skip
REMOVED = (
    "InstitutionName", "InstitutionAddress", "StationName", "DeviceSerialNumber", "OtherPatientIDs", "PatientAddress",
    "PatientTelephoneNumbers", "Occupation", "PatientComments", "OperatorsName", "PatientBirthName",
)  # fmt: skip


@dataclass(frozen=True)
class Study:
    """The files of one study, and what must be true of what leaves."""

    modality: str
    files: list[Path]
    person: Person
    profile: str
    texts: list[dict[str, tuple[list[str], str]]]
    """For each file, keyword -> tokens that must be gone, text that must stay."""


@dataclass
class Score:
    """Required actions by category, and those that were not done."""

    asked: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[str, str]] = field(default_factory=list)

    def ask(self, category: str, done: bool, what: str) -> None:
        """Counts one action."""
        self.asked[category] += 1
        if not done:
            self.failed.append((category, what))

    def line(self, category: str) -> str:
        """`99.50 % of 200`."""
        wrong = sum(one == category for one, _ in self.failed)
        return f"{100 * (self.asked[category] - wrong) / self.asked[category]:.2f} % of {self.asked[category]}"

    @property
    def total(self) -> str:
        """Over all categories."""
        count = sum(self.asked.values())
        return f"{100 * (count - len(self.failed)) / count:.2f} % of {count}"


def a_study(number: int, folder: Path) -> Study:
    """One study with two instances; the same number gives the same study."""
    chance = random.Random(number)
    person = a_person(chance)
    modality = list(MODALITIES)[number // 3 % 6] if number % 3 == 0 else LEAVING[number % 3]
    profile = chance.choice(("safe-harbor-shifted", "safe-harbor-shifted", "safe-harbor", "ps3.15-basic"))
    root, day = (
        f"1.2.826.{number + 1}.{chance.randrange(10**8)}",
        f"20{chance.randrange(10, 25)}{chance.randrange(1, 13):02d}14",
    )
    texts: list[dict[str, tuple[list[str], str]]] = []
    files = []
    for index in (1, 2):
        path = an_instance(folder / f"{number}-{index}.dcm", number=index, study=root, study_date=day)
        dataset = pydicom.dcmread(path)
        _identify(dataset, person, MODALITIES[modality], modality, chance)
        texts.append(_describe(dataset, person, chance))
        _nest(dataset, person, root, index)
        dataset.save_as(path)
        files.append(path)
    return Study(modality, files, person, profile, texts)


def _identify(dataset: Dataset, person: Person, sop_class: str, modality: str, chance: random.Random) -> None:
    dataset.SpecificCharacterSet = person.charset.split("\\")
    dataset.Modality, dataset.SOPClassUID = modality, UID(sop_class)
    dataset.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    dataset.PatientName, dataset.PatientID, dataset.PatientBirthDate = person.name, person.patient_id, person.birth
    dataset.PatientAge, dataset.OtherPatientIDs, dataset.PatientTelephoneNumbers = "061Y", person.ssn, person.phone
    dataset.PatientBirthName, dataset.PatientComments = person.name, f"write to {person.mail}"
    dataset.AccessionNumber = f"A{chance.randrange(10**8)}"
    dataset.InstanceCreationDate = dataset.StudyDate
    dataset.DimensionOrganizationUID = f"{dataset.StudyInstanceUID}.9"
    block = dataset.private_block(0x0099, "ACME RIS", create=True)
    block.add_new(0x02, "SH", person.patient_id)


def _describe(dataset: Dataset, person: Person, chance: random.Random) -> dict[str, tuple[list[str], str]]:
    key: dict[str, tuple[list[str], str]] = {}
    for keyword in TEXTS:
        while True:
            text = a_text(chance, person)
            if len(text.text) <= 60 and _encodes(text.text, person.charset):
                break
        setattr(dataset, keyword, text.text)
        key[keyword] = (text.gone, text.kept)
    return key


def _encodes(text: str, charset: str) -> bool:
    """Several character sets in one value are pydicom's to write right; here a text is written in the first one alone."""
    from pydicom.charset import python_encoding

    try:
        text.encode(python_encoding.get(charset.split("\\")[0], "ascii") if "\\" not in charset else "ascii")
    except UnicodeEncodeError:
        return False
    return True


def _nest(dataset: Dataset, person: Person, root: str, index: int) -> None:
    inner = Dataset()
    inner.PatientName, inner.StudyDate, inner.InstitutionName = person.name, dataset.StudyDate, "Eulenklinik"
    inner.ReferencedSOPClassUID = dataset.SOPClassUID
    inner.ReferencedSOPInstanceUID = f"{root}.7.{3 - index}"
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "121311", "DCM", "Localizer"
    code.OperatorsName = person.name
    inner.PurposeOfReferenceCodeSequence = Sequence([code])
    dataset.ReferencedImageSequence = Sequence([inner])


def score(study: Study, outputs: list[Path], score: Score, uids: dict[str, str]) -> None:
    """Asks for every required action of one study that left; `uids` gathers what became what over all studies."""
    offsets: set[int] = set()
    for source, output, texts in zip(study.files, outputs, study.texts, strict=True):
        before, after = pydicom.dcmread(source), pydicom.dcmread(output)
        _text(score, after, texts)
        offsets |= _dates(score, study, before, after)
        _uids(score, before, after, uids)
        _removed(score, study, after)
        score.ask("pixel", bool(before.PixelData == after.PixelData), "PixelData")
        for keyword in RETAINED:
            score.ask("retain", before.get(keyword) == after.get(keyword), keyword)
        b_value = after.private_block(0x0019, "SIEMENS MR HEADER")
        score.ask("retain", str(b_value[0x0C].value) == "1000" and list(b_value[0x0E].value) == [0.6, 0.8, 0.0], "b-value")
    score.ask("date", len(offsets) <= 1 and 0 not in offsets, f"offsets {sorted(offsets)}")


def _text(score: Score, after: Dataset, texts: dict[str, tuple[list[str], str]]) -> None:
    for keyword, (gone, kept) in texts.items():
        text = str(after.get(keyword, ""))
        for token in gone:
            score.ask("text", token.casefold() not in text.casefold(), f"{keyword}: {text}")
        if kept and keyword in after:
            score.ask("retain", kept in text, f"{keyword}: {text}")


def _dates(score: Score, study: Study, before: Dataset, after: Dataset) -> set[int]:
    offsets = set()
    for keyword in DATES:
        old, new = str(before.get(keyword, "")), str(after.get(keyword, ""))
        if study.profile == "safe-harbor":
            score.ask("date", not new, keyword)
        elif new:
            offsets.add((_day(new) - _day(old)).days)
            score.ask("date", old != new, keyword)
    score.ask("date", str(before.PatientBirthDate) != str(after.get("PatientBirthDate", "")), "PatientBirthDate")
    nested = str(after.ReferencedImageSequence[0].get("StudyDate", ""))
    score.ask("date", nested != str(before.StudyDate), "nested StudyDate")
    return offsets | ({(_day(nested) - _day(str(before.StudyDate))).days} if nested else set())


def _day(text: str) -> date:
    return date(int(text[:4]), int(text[4:6]), int(text[6:8]))


def _pairs(before: Dataset, after: Dataset) -> Iterator[tuple[str, str, str]]:
    for element in before:
        if element.keyword not in after:
            continue
        if element.VR == "UI":
            yield element.keyword, str(element.value), str(after[element.keyword].value)
        elif element.VR == "SQ":
            for one, other in zip(element.value, after[element.keyword].value, strict=True):
                yield from _pairs(one, other)


def _uids(score: Score, before: Dataset, after: Dataset, uids: dict[str, str]) -> None:
    for keyword, old, new in _pairs(before, after):
        if old.startswith("1.2.840.10008."):
            score.ask("retain", old == new, keyword)
        else:
            score.ask("UID", old != new and uids.setdefault(old, new) == new, keyword)
    score.ask("UID", after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID, "file meta")
    nested = str(after.ReferencedImageSequence[0].ReferencedSOPInstanceUID)
    score.ask("UID", nested == uids.setdefault(str(before.ReferencedImageSequence[0].ReferencedSOPInstanceUID), nested), "ref")


def _removed(score: Score, study: Study, after: Dataset) -> None:
    for keyword in ("PatientName", "PatientID", "AccessionNumber"):
        score.ask("text", str(after[keyword].value) in ("", "REMOVED"), keyword)
    for keyword in REMOVED:
        score.ask("text", not after.get(keyword) or str(after[keyword].value) == "REMOVED", keyword)
    inner = after.ReferencedImageSequence[0]
    for keyword, holder in (("PatientName", inner), ("InstitutionName", inner), ("OperatorsName", _code(inner))):
        score.ask("nested", not str(holder.get(keyword, "")) or str(holder[keyword].value) == "REMOVED", keyword)
    score.ask("nested", not _contains(after, study.person.patient_id), "patient ID anywhere")
    for tag in (0x00990010, 0x00991001, 0x00991002, 0x00191077):
        score.ask("private", tag not in after, f"{tag:08X}")
    score.ask("private", not any(element.tag.group in (0x6000, 0x5000) for element in after), "overlays, curves")


def _code(inner: Dataset) -> Dataset:
    found: Any = inner.get("PurposeOfReferenceCodeSequence")
    return found[0] if found else Dataset()


def _contains(dataset: Dataset, token: str) -> bool:
    said: Callable[[Dataset], str] = str
    return token.casefold() in said(dataset).casefold()
