"""One row of the audit as an audit message (PS3.15 section A.5.1) in a syslog message (section A.6, RFC 5424)."""

import base64
import socket
from collections.abc import Iterator
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

import msgspec

from appliance.atna import codes
from appliance.atna.codes import Code, Kind
from appliance.moments import iso
from appliance.records.audit import AuditEntry

_DECLARATION = b'<?xml version="1.0" encoding="UTF-8"?>'
_BAD_XML = {**dict.fromkeys((9, 10, 13), " "), **dict.fromkeys((*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF))}


class Subject(msgspec.Struct, kw_only=True, frozen=True):
    """Whose study a row is about, as far as it may be said."""

    study: str
    patient: str = ""
    """The patient ID where messages may name patients, else the pseudonym."""
    study_uid: str = ""
    """Only where messages may name patients."""


def xml(entry: AuditEntry, source: str, subject: Subject | None = None) -> bytes:
    """The message; `source` names this appliance. Without a subject it says what the row says: our own identifiers."""
    kind = codes.kind_of(entry.action)
    root = Element("AuditMessage")
    event = SubElement(root, "EventIdentification")
    event.set("EventActionCode", kind.letter)
    event.set("EventDateTime", iso(entry.at) or "")
    event.set("EventOutcomeIndicator", _outcome(entry.result))
    _coded(event, "EventID", kind.event)
    if kind.type is not None:
        _coded(event, "EventTypeCode", kind.type)
    SubElement(event, "EventOutcomeDescription").text = _plain(f"{entry.action}: {entry.result}")
    _participants(root, entry, kind, source)
    origin = SubElement(root, "AuditSourceIdentification", AuditSourceID=_plain(source))
    SubElement(origin, "AuditSourceTypeCode", {"csd-code": "4"})
    for element in _objects(entry, kind, subject):
        root.append(element)
    # On one line: many a syslog server takes a line feed for the end of a message.
    content: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=False)
    return _DECLARATION + content


def _outcome(result: str) -> str:
    """Success, minor failure, or an account that is locked (PS3.15 section A.5.2, EventOutcomeIndicator)."""
    return {"done": "0", "locked": "12"}.get(result, "4")


def _participants(root: Element, entry: AuditEntry, kind: Kind, source: str) -> None:
    """Who did it and this appliance; who of them gave, and who took."""
    came, left = kind.way == "in", kind.way == "out"
    doer = SubElement(root, "ActiveParticipant", UserID=_plain(entry.actor) or "unknown", UserIsRequestor="true")
    if entry.origin:
        doer.set("NetworkAccessPointID", _plain(entry.origin))
        doer.set("NetworkAccessPointTypeCode", "2")
    if came or left:
        _coded(doer, "RoleIDCode", codes.SOURCE if came else codes.DESTINATION)
    ours = SubElement(root, "ActiveParticipant", UserID=_plain(source), UserIsRequestor="false")
    ours.set("NetworkAccessPointID", _plain(socket.gethostname()))
    ours.set("NetworkAccessPointTypeCode", "1")
    _coded(ours, "RoleIDCode", codes.DESTINATION if came else codes.SOURCE if left else codes.APPLICATION)


def _objects(entry: AuditEntry, kind: Kind, subject: Subject | None) -> Iterator[Element]:
    """The row itself with all it says, and the study and the patient that it is about."""
    if subject is not None:
        known = codes.STUDY_UID if subject.study_uid else codes.OUR_STUDY
        yield _object("2", "3", known, subject.study_uid or subject.study, "Study", _details(entry, kind.target == "study"))
        if subject.patient:
            yield _object("1", "1", codes.PATIENT_NUMBER, subject.patient, "Patient", {})
    if kind.target == "search":
        element = _object("2", "24", codes.SEARCH, entry.target or entry.action, "", _details(entry, True))
        element.insert(1, query := Element("ParticipantObjectQuery"))
        query.text = _base64(entry.detail)
        yield element
    elif kind.target == "log":
        yield _object("2", "13", codes.URI, "/api/audit", "Security Audit Log", _details(entry, True))
    elif kind.target != "study" or subject is None:
        role, code = _ROLES[kind.target]
        yield _object("2", role, code, entry.target or entry.action, entry.action, _details(entry, True))


_ROLES: dict[str, tuple[str, Code]] = {
    "study": ("3", codes.OUR_STUDY),
    "order": ("20", codes.OUR_OBJECT),
    "report": ("3", codes.REPORT_NUMBER),
    "delivery": ("20", codes.OUR_OBJECT),
    "user": ("11", codes.USER),
    "setting": ("13", codes.OUR_OBJECT),
    "none": ("13", codes.OUR_OBJECT),
}
"""Role and kind of identifier by what a row is about (PS3.15 sections A.5.1.2.2 and A.5.1.2.4)."""


def _object(kind: str, role: str, code: Code, identifier: str, name: str, details: dict[str, str]) -> Element:
    found = Element("ParticipantObjectIdentification", ParticipantObjectID=_plain(identifier) or "-")
    found.set("ParticipantObjectTypeCode", kind)
    found.set("ParticipantObjectTypeCodeRole", role)
    _coded(found, "ParticipantObjectIDTypeCode", code)
    if name:
        SubElement(found, "ParticipantObjectName").text = _plain(name)
    for label, value in details.items():
        SubElement(found, "ParticipantObjectDetail", type=label, value=_base64(value))
    return found


def _details(entry: AuditEntry, wanted: bool) -> dict[str, str]:
    """The row, so that whoever keeps the messages can follow the chain."""
    if not wanted:
        return {}
    said = {"row": str(entry.seq), "hash": entry.hash, "action": entry.action, "target": entry.target, "detail": entry.detail}
    return {label: value for label, value in said.items() if value}


def _coded(parent: Element, name: str, code: Code) -> None:
    attributes = {"csd-code": code.value, "codeSystemName": code.system, "originalText": code.meaning}
    SubElement(parent, name, attributes)


def _plain(text: str) -> str:
    """Text on one line, without what XML 1.0 cannot hold (section 2.2)."""
    return text.translate(_BAD_XML).strip()


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
