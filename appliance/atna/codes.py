"""Coded values of audit messages (PS3.15 section A.5, PS3.16 CID 400 to 405), and what each of our actions is there."""

from typing import Literal, NamedTuple


class Code(NamedTuple):
    """One coded value."""

    value: str
    meaning: str
    system: str = "DCM"


ACTIVITY = Code("110100", "Application Activity")
LOG_USED = Code("110101", "Audit Log Used")
BEGIN_TRANSFER = Code("110102", "Begin Transferring DICOM Instances")
ACCESSED = Code("110103", "DICOM Instances Accessed")
TRANSFERRED = Code("110104", "DICOM Instances Transferred")
STUDY_DELETED = Code("110105", "DICOM Study Deleted")
EXPORT = Code("110106", "Export")
ORDER = Code("110109", "Order Record")
PATIENT = Code("110110", "Patient Record")
QUERY = Code("110112", "Query")
ALERT = Code("110113", "Security Alert")
AUTHENTICATION = Code("110114", "User Authentication")

START, STOP = Code("110120", "Application Start"), Code("110121", "Application Stop")
LOGIN, LOGOUT = Code("110122", "Login"), Code("110123", "Logout")
NODE_AUTHENTICATION = Code("110126", "Node Authentication")
NETWORK_CONFIGURATION = Code("110128", "Network Configuration")
SECURITY_CONFIGURATION = Code("110129", "Security Configuration")
SOFTWARE_CONFIGURATION = Code("110131", "Software Configuration")
RESTRICTED = Code("110132", "Use of Restricted Function")
ROLES_CHANGED = Code("110136", "Security Roles Changed")
USER_CHANGED = Code("110137", "User Security Attributes Changed")

APPLICATION = Code("110150", "Application")
DESTINATION, SOURCE = Code("110152", "Destination Role ID"), Code("110153", "Source Role ID")

STUDY_UID = Code("110180", "Study Instance UID")
OUR_STUDY = Code("study", "Identifier of the study in this appliance", "99RANVIER")
OUR_OBJECT = Code("object", "Identifier in this appliance", "99RANVIER")
PATIENT_NUMBER = Code("2", "Patient Number", "RFC-3881")
REPORT_NUMBER = Code("9", "Report Number", "RFC-3881")
SEARCH = Code("10", "Search Criteria", "RFC-3881")
USER = Code("11", "User Identifier", "RFC-3881")
URI = Code("12", "URI", "RFC-3881")

Letter = Literal["C", "R", "U", "D", "E"]
Way = Literal["alone", "in", "out"]
"""Whether something came to this appliance, left it, or stayed."""
Target = Literal["study", "order", "report", "delivery", "user", "setting", "log", "search", "none"]


class Kind(NamedTuple):
    """What an action of ours is in a message."""

    event: Code
    letter: Letter
    type: Code | None = None
    target: Target = "none"
    way: Way = "alone"


_SETTINGS = Kind(ALERT, "E", SECURITY_CONFIGURATION, "setting")
_CONTROL = Kind(ALERT, "E", SOFTWARE_CONFIGURATION, "setting")
_TESTED = Kind(ALERT, "E", NETWORK_CONFIGURATION, "setting")
_ACCOUNT = Kind(ALERT, "E", USER_CHANGED, "user")
_ROLE = Kind(ALERT, "E", ROLES_CHANGED, "user")
_ORDER = Kind(ORDER, "U", None, "order")
OTHER = Kind(ALERT, "E", RESTRICTED, "setting")
"""Of a newer version's action."""

KINDS: dict[str, Kind] = {
    "process.start": Kind(ACTIVITY, "E", START),
    "process.stop": Kind(ACTIVITY, "E", STOP),
    "sign-in": Kind(AUTHENTICATION, "E", LOGIN),
    "access-token": Kind(AUTHENTICATION, "E", LOGIN),
    "sign-out": Kind(AUTHENTICATION, "E", LOGOUT),
    "hub.connect": Kind(AUTHENTICATION, "E", LOGIN),
    "association": Kind(ALERT, "E", NODE_AUTHENTICATION, "setting"),
    "audit.read": Kind(LOG_USED, "R", None, "log"),
    "audit.export": Kind(LOG_USED, "R", None, "log"),
    "identity.reveal": Kind(PATIENT, "R", None, "study"),
    "identity.preview": Kind(PATIENT, "R", None, "study"),
    "identity.lookup": Kind(QUERY, "E", None, "search", "in"),
    "dicomweb.search": Kind(QUERY, "E", None, "search", "in"),
    "node.find": Kind(QUERY, "E", None, "search", "out"),
    "node.find-revealed": Kind(QUERY, "E", None, "search", "out"),
    "pull.open": Kind(BEGIN_TRANSFER, "E", None, "none", "in"),
    "pull.priors": Kind(BEGIN_TRANSFER, "E", None, "study", "in"),
    "pull.cancel": Kind(BEGIN_TRANSFER, "E", None, "none", "in"),
    "study.received": Kind(TRANSFERRED, "C", None, "study", "in"),
    "dicomweb.store": Kind(TRANSFERRED, "C", None, "none", "in"),
    "dicomweb.retrieve": Kind(TRANSFERRED, "R", None, "study", "out"),
    "study.force-stable": Kind(ACCESSED, "U", None, "study"),
    "study.release": Kind(ACCESSED, "U", None, "study"),
    "study.delete": Kind(STUDY_DELETED, "D", None, "study"),
    "study.deleted": Kind(STUDY_DELETED, "D", None, "study"),
    "order.open": Kind(ORDER, "C", None, "study"),
    "order.metadata": _ORDER,
    "order.retry": _ORDER,
    "order.cancel": _ORDER,
    "order.bypass-qc": _ORDER,
    "order.priority": _ORDER,
    "order.repair-gradients": _ORDER,
    "order.delete": Kind(ORDER, "D", None, "order"),
    "order.deleted": Kind(ORDER, "D", None, "order"),
    "order.verify": Kind(ACCESSED, "R", None, "order"),
    "order.qc-picture": Kind(ACCESSED, "R", None, "order"),
    "report.download": Kind(EXPORT, "R", None, "report", "out"),
    "linking.export": Kind(EXPORT, "R", None, "study", "out"),
    "delivery.sent": Kind(EXPORT, "R", None, "order", "out"),
    "delivery.failed": Kind(EXPORT, "R", None, "order", "out"),
    "delivery.resend": Kind(EXPORT, "R", None, "delivery", "out"),
    "delivery.send": Kind(EXPORT, "R", None, "order", "out"),
    "group.create": Kind(ORDER, "C", None, "none"),
    "group.remove": Kind(ORDER, "D", None, "none"),
    "group.send": Kind(EXPORT, "R", None, "none", "out"),
    "group.download": Kind(EXPORT, "R", None, "none", "out"),
    "settings.change": _SETTINGS,
    "settings.restore": _SETTINGS,
    "settings.import": _SETTINGS,
    "settings.export": _SETTINGS,
    "certificate.set": _SETTINGS,
    "certificate.remove": _SETTINGS,
    "settings.test": _TESTED,
    "delivery.test": _TESTED,
    "processing.pause": _CONTROL,
    "processing.resume": _CONTROL,
    "receiving.pause": _CONTROL,
    "receiving.resume": _CONTROL,
    "delivery.pause": _CONTROL,
    "delivery.resume": _CONTROL,
    "task.run": _CONTROL,
    "retention.run": _CONTROL,
    "user.create": _ROLE,
    "user.change": _ROLE,
    "user.sign-out": _ACCOUNT,
    "user.password": _ACCOUNT,
    "user.second-factor-begin": _ACCOUNT,
    "user.second-factor-on": _ACCOUNT,
    "user.second-factor-off": _ACCOUNT,
    "token.create": _ROLE,
    "token.revoke": _ROLE,
    "service-account.replaced": _ACCOUNT,
}
"""Action of the audit -> what it is in a message."""

FAMILIES: dict[str, Kind] = {
    "study": Kind(ACCESSED, "U", None, "study"),
    "order": _ORDER,
    "group": Kind(ORDER, "U", None, "none"),
    "report": Kind(EXPORT, "R", None, "report", "out"),
    "results": Kind(EXPORT, "R", None, "none", "out"),
    "delivery": Kind(EXPORT, "R", None, "delivery", "out"),
    "identity": Kind(PATIENT, "R", None, "study"),
    "node": Kind(QUERY, "E", None, "search", "out"),
    "pull": Kind(BEGIN_TRANSFER, "E", None, "none", "in"),
    "dicomweb": Kind(TRANSFERRED, "R", None, "none", "out"),
    "user": _ACCOUNT,
    "token": _ROLE,
    "upload-code": _ROLE,
    "settings": _SETTINGS,
    "certificate": _SETTINGS,
    **dict.fromkeys(("processing", "receiving", "task", "retention", "notice", "notification", "folder", "upload"), _CONTROL),
}
"""What any other action of the same first word is."""


def kind_of(action: str) -> Kind:
    """What an action is in a message."""
    return KINDS.get(action) or FAMILIES.get(action.partition(".")[0], OTHER)
