"""The report as a DICOM Comprehensive SR of template TID 1500, Measurement Report (PS3.16), under the original study.

One measurement group for each product and place, with tracking identifier, finding site and coded numbers; what must be read
before the numbers stands as texts under Qualitative Evaluations.
"""

import io
from collections.abc import Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from highdicom import sr
from highdicom.sr.coding import CodedConcept
from pydicom import config
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.uid import UID, ComprehensiveSRStorage, ExplicitVRLittleEndian

from appliance.moments import uid_of
from appliance.records.identities import PatientIdentity
from appliance.reports import header, words
from appliance.reports.codes import (
    CAVEAT,
    NO_RESULT,
    NOT_SAID,
    NOTICE,
    ORIGIN,
    OWN,
    PROCEDURE,
    QUALITY,
    REPORT,
    Code,
    Coded,
    coded,
)
from appliance.reports.content import ProductSection, ReportContent, Row
from appliance.reports.sources import Source
from appliance.reports.tracking import derived_id, place_of, tracking_uid

SERIES_NUMBER = 9500
_PARTS = Code("C0034375", "UMLS", "Qualitative Evaluations")
_MOST_TEXT = 1024
_DEVICE = "device"


class Place(NamedTuple):
    """Where a structured report is filed, and what it takes the place of."""

    sop_instance_uid: str
    now: datetime
    """In the time zone of the site's dates and times."""
    predecessor: Source | None = None


def structured(content: ReportContent, identity: PatientIdentity, place: Place, sources: Sequence[Source]) -> bytes:
    """A Part 10 file of SOP class Comprehensive SR Storage; the same arguments give the same bytes.

    Raises `NoStudy` when the identity names no study, `NoImages` when none of the original instances is there any more:
    an SR needs evidence (PS3.3 section C.17.2.3).
    """
    header.need_study(identity)
    if not sources:
        raise header.NoImages()
    with config.disable_value_validation():
        document = _document(content, identity, place, sources)
        return _written(document, content, identity, place)


def _document(content: ReportContent, identity: PatientIdentity, place: Place, sources: Sequence[Source]) -> sr.ComprehensiveSR:
    study = identity.study_instance_uid
    previous = [_evidence(study, place.predecessor)] if place.predecessor else None
    return sr.ComprehensiveSR(
        evidence=[_evidence(study, one) for one in sources],
        content=_report(content, sources)[0],
        series_instance_uid=series_uid(content.report),
        series_number=SERIES_NUMBER + content.version,
        sop_instance_uid=place.sop_instance_uid,
        instance_number=content.version,
        manufacturer=header.MANUFACTURER,
        is_complete=True,
        is_final=False,
        is_verified=False,
        previous_versions=previous,
        record_evidence=True,
    )


def series_uid(report: str) -> str:
    """The series of a report's SR; that of its PDF is another, for it has another modality."""
    return uid_of(derived_id("sr-series", report))


def _evidence(study_instance_uid: str, source: Source) -> Dataset:
    """What the library asks of an instance that is referred to; the patient's own values, right or wrong, it never sees."""
    found = Dataset()
    header.add_patient_and_study(found, PatientIdentity(study_instance_uid=study_instance_uid))
    found.SOPClassUID, found.SOPInstanceUID, found.SeriesInstanceUID = source
    return found


def _report(content: ReportContent, sources: Sequence[Source]) -> sr.MeasurementReport:
    device = sr.ObserverContext(
        observer_type=_concept(Code("121007", "DCM", "Device")),
        observer_identifying_attributes=sr.DeviceObserverIdentifyingAttributes(
            uid=uid_of(derived_id(_DEVICE, content.site)),
            name=header.MANUFACTURER,
            manufacturer_name=header.MANUFACTURER,
            model_name=header.MANUFACTURER,
        ),
    )
    groups = [group for section in content.sections if not section.failure for group in _groups(content, section, sources)]
    made = sr.MeasurementReport(
        observation_context=sr.ObservationContext(observer_device_context=device),
        procedure_reported=_concept(PROCEDURE),
        imaging_measurements=groups or None,
        title=_concept(REPORT),
    )
    made[0].ContentSequence.append(_evaluations(content))
    return made


def _groups(
    content: ReportContent, section: ProductSection, sources: Sequence[Source]
) -> list[sr.MeasurementsAndQualitativeEvaluations]:
    """One group for each place that a product measured (TID 1501)."""
    known = [(coded(row), row) for row in section.rows if row.value is not None]
    ordered = sorted(known, key=lambda one: place_of(one[0]))
    return [
        _group(content, section, place, list(rows), sources) for place, rows in groupby(ordered, lambda one: place_of(one[0]))
    ]


def _group(
    content: ReportContent, section: ProductSection, place: Code, rows: list[tuple[Coded, Row]], sources: Sequence[Source]
) -> sr.MeasurementsAndQualitativeEvaluations:
    first = sources[0]
    return sr.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=sr.TrackingIdentifier(
            uid=tracking_uid(content.order, section.product, place), identifier=f"{section.product} {place.meaning}"
        ),
        finding_sites=[sr.FindingSite(_concept(place))],
        algorithm_id=sr.AlgorithmIdentification(name=section.title, version=section.version),
        measurements=[_measurement(found, row) for found, row in rows],
        source_images=[
            sr.SourceImageForMeasurementGroup(
                referenced_sop_class_uid=first.sop_class_uid, referenced_sop_instance_uid=first.sop_instance_uid
            )
        ],
    )


def _measurement(found: Coded, row: Row) -> sr.Measurement:
    assert row.value is not None, "a row without a value is no measurement"
    return sr.Measurement(
        name=_concept(found.concept),
        value=int(row.value) if row.value.is_integer() else row.value,
        unit=_concept(found.unit),
        derivation=_concept(found.derivation) if found.derivation else None,
    )


def _evaluations(content: ReportContent) -> sr.ContainerContentItem:
    """Verdict, caveats and limits as texts (TID 1500 row 12)."""
    said = [(NOTICE, words.NOTICE_LONG), (QUALITY, words.qc_line(content)), *((CAVEAT, one) for one in content.caveats)]
    said += [(ORIGIN, f"{label}: {value} ({why})") for label, value, why in words.age_and_sex(content) if why]
    for section in content.sections:
        if section.failure:
            said.append((NO_RESULT, f"{section.title}: {section.failure}"))
        said += [(NO_RESULT, f"{row.label}: not computable") for row in section.rows if row.value is None]
        said += [(CAVEAT, f"{section.title}: {note}") for note in section.notes]
    said += [(NOT_SAID, one) for one in words.limits(content)]
    box = sr.ContainerContentItem(name=_concept(_PARTS), relationship_type=sr.RelationshipTypeValues.CONTAINS)
    box.ContentSequence = sr.ContentSequence(
        [
            sr.TextContentItem(
                name=_concept(code), value=text[:_MOST_TEXT], relationship_type=sr.RelationshipTypeValues.CONTAINS
            )
            for code, text in said
        ]
    )
    return box


def _own_scheme() -> Dataset:
    """Who answers for the codes that no standard has (PS3.3 section 8.2)."""
    found = Dataset()
    found.CodingSchemeDesignator = OWN
    found.CodingSchemeName = "Ranvier report measurements"
    found.CodingSchemeResponsibleOrganization = header.MANUFACTURER
    return found


def _concept(code: Code) -> CodedConcept:
    return CodedConcept(value=code.value, scheme_designator=code.scheme, meaning=code.meaning)


def _written(document: Dataset, content: ReportContent, identity: PatientIdentity, place: Place) -> bytes:
    """The document with our own patient, equipment and times in place of those that the library took from the clock."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = ComprehensiveSRStorage
    meta.MediaStorageSOPInstanceUID = UID(place.sop_instance_uid)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.add_implementation(meta)
    target = io.BytesIO()
    whole = FileDataset(target, document, preamble=b"\0" * 128, file_meta=meta)
    header.add_patient_and_study(whole, identity)
    header.add_equipment(whole, content, place.now)
    whole.SeriesDescription = f"Ranvier measurements, {words.NOTICE.lower()}"
    header.add_content_time(whole, content, place.now)
    for library in whole.get("ContributingEquipmentSequence", []):
        library.ContributionDateTime = place.now.strftime("%Y%m%d%H%M%S%z")
    whole.CodingSchemeIdentificationSequence = [_own_scheme()]
    header.set_character_set(whole, identity.character_set)
    whole.save_as(target, enforce_file_format=True)
    return target.getvalue()
