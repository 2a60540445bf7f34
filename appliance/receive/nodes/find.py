"""C-FIND as SCU in the Study Root model (PS3.4 section C.4.1): what a PACS node holds."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import msgspec
from pydicom import Dataset, config
from pynetdicom.presentation import build_context

from appliance.errors import Misconfigured
from appliance.receive.nodes.association import NodeAway, answers, associated
from appliance.receive.nodes.stop import Stop
from appliance.receive.section import PacsNode

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
_PATIENT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
_PENDING = (0xFF00, 0xFF01)
_CANCELLED = 0xFE00
_OUT_OF_RESOURCES = 0xA700

Level = Literal["PATIENT", "STUDY", "SERIES", "IMAGE"]


class QueryRefused(Misconfigured):
    """The PACS node {node} refuses the query with {status}."""

    code = "query-refused"
    next_step = "Ask with other keys; some nodes want a patient, a date or an accession number."


class Query(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """What is looked for; empty matches everything, `*` and `?` are wild, a date may be a range like 20240101-20241231."""

    level: Level = "STUDY"
    patient_id: str = ""
    patient_name: str = ""
    accession: str = ""
    study_date: str = ""
    modality: str = ""
    description: str = ""
    study_uid: str = ""
    series_uid: str = ""


class Found(msgspec.Struct, kw_only=True, frozen=True):
    """One answer of a node: patient values and UIDs as they stand there."""

    patient_id: str = ""
    issuer: str = ""
    patient_name: str = ""
    birth_date: str = ""
    sex: str = ""
    accession: str = ""
    study_date: str = ""
    study_time: str = ""
    description: str = ""
    modalities: str = ""
    study_uid: str = ""
    series_uid: str = ""
    series_number: str = ""
    sop_uid: str = ""
    instances: int | None = None
    series: int | None = None


KEYS: dict[Level, dict[str, str]] = {
    "PATIENT": {
        "patient_id": "PatientID",
        "issuer": "IssuerOfPatientID",
        "patient_name": "PatientName",
        "birth_date": "PatientBirthDate",
        "sex": "PatientSex",
    },
    "STUDY": {
        "patient_id": "PatientID",
        "issuer": "IssuerOfPatientID",
        "patient_name": "PatientName",
        "birth_date": "PatientBirthDate",
        "sex": "PatientSex",
        "accession": "AccessionNumber",
        "study_date": "StudyDate",
        "study_time": "StudyTime",
        "description": "StudyDescription",
        "modalities": "ModalitiesInStudy",
        "study_uid": "StudyInstanceUID",
        "instances": "NumberOfStudyRelatedInstances",
        "series": "NumberOfStudyRelatedSeries",
    },
    "SERIES": {
        "study_uid": "StudyInstanceUID",
        "series_uid": "SeriesInstanceUID",
        "series_number": "SeriesNumber",
        "modalities": "Modality",
        "description": "SeriesDescription",
        "instances": "NumberOfSeriesRelatedInstances",
    },
    "IMAGE": {"study_uid": "StudyInstanceUID", "series_uid": "SeriesInstanceUID", "sop_uid": "SOPInstanceUID"},
}
"""Level -> our name -> the keyword of the key that is asked for (PS3.4 section C.6.1.1 and C.6.2.1)."""
MATCHING = {
    "patient_id": "patient_id",
    "patient_name": "patient_name",
    "accession": "accession",
    "study_date": "study_date",
    "modality": "modalities",
    "description": "description",
    "study_uid": "study_uid",
    "series_uid": "series_uid",
}


class Session:
    """Queries over one association."""

    def __init__(self, association: Any, node: PacsNode) -> None:
        self._association = association
        self._node = node

    def page(self, query: Query, *, limit: int, skip: int = 0, stop: Stop | None = None) -> tuple[list[Found], bool]:
        """Up to `limit` answers behind the first `skip`, and whether there are more.

        The node hears C-CANCEL (PS3.4 section C.4.1.3) as soon as enough came, or somebody asked to stop. Raises `NodeAway`
        and `QueryRefused`.
        """
        stop = stop or Stop()
        found: list[Found] = []
        for one in self._asked(query, stop):
            found.append(one)
            if len(found) > skip + limit:
                stop.ask()
        return found[skip : skip + limit], len(found) > skip + limit

    def all(self, query: Query) -> list[Found]:
        """Every answer; raises `NodeAway` and `QueryRefused`."""
        return list(self._asked(query, Stop()))

    def _asked(self, query: Query, stop: Stop) -> Iterator[Found]:
        node, keys, model = self._node, KEYS[query.level], _model(query)
        with config.disable_value_validation():
            try:
                given = self._association.send_c_find(identifier_of(query), model, msg_id=1)
            except (ValueError, RuntimeError) as fault:
                raise NodeAway(node=node.name, why="it ended the association before it was asked") from fault
            for code, _, identifier in answers(self._association, node, given, model, stop):
                if stop.asked:
                    # What comes behind C-CANCEL was on its way already.
                    continue
                if code in _PENDING and identifier is not None:
                    yield _found(identifier, keys)
                elif code == _OUT_OF_RESOURCES:
                    raise NodeAway(node=node.name, why="it is out of resources")
                elif code not in (0x0000, _CANCELLED, *_PENDING):
                    raise QueryRefused(node=node.name, status=f"{code:04X}H")


@contextmanager
def session(node: PacsNode) -> Iterator[Session]:
    """An association for queries; raises `NodeAway` and `NodeRefuses`."""
    with associated(node, [build_context(FIND), build_context(_PATIENT_FIND)]) as association:
        yield Session(association, node)


def _model(query: Query) -> str:
    return _PATIENT_FIND if query.level == "PATIENT" else FIND


def identifier_of(query: Query) -> Dataset:
    """The identifier of the request: every key of the level, those that are looked for with their value."""
    identifier = Dataset()
    identifier.SpecificCharacterSet = "ISO_IR 192"
    identifier.QueryRetrieveLevel = query.level
    for keyword in KEYS[query.level].values():
        setattr(identifier, keyword, None if keyword.startswith("NumberOf") else "")
    for name, place in MATCHING.items():
        if getattr(query, name) and place in KEYS[query.level]:
            setattr(identifier, KEYS[query.level][place], getattr(query, name))
    return identifier


def _found(identifier: Dataset, keys: dict[str, str]) -> Found:
    values: dict[str, Any] = {}
    for name, keyword in keys.items():
        value = identifier.get(keyword)
        if name in ("instances", "series"):
            values[name] = int(value) if str(value or "").strip().isdigit() else None
        else:
            listed = value if isinstance(value, (list, tuple)) or type(value).__name__ == "MultiValue" else [value]
            values[name] = "\\".join(str(one) for one in listed if one is not None)
    return Found(**values)
