"""Where anything leaves this appliance to: made from the settings, so that it says what they do (UI-12)."""

from typing import Literal
from urllib.parse import urlsplit

import msgspec

from appliance import outgoing
from appliance.delivery import destinations
from appliance.delivery.section import (
    Destination,
    Dicom,
    DicomPdf,
    DicomSc,
    DicomSr,
    DicomStudy,
    Email,
    Folder,
    Hl7,
    Rest,
    Sftp,
    StowRs,
    StudyDestination,
)
from appliance.house import House
from appliance.receive.section import Node, WebNode
from appliance.records.last_use import last_use
from appliance.settings import Settings, load_bootstrap

Identified = Literal["yes", "no", "sealed"]
Encrypted = Literal["yes", "no", "may be", "does not leave"]


_NOTICE_PROTOCOLS = {"email": "SMTP", "webhook": "REST (POST)", "apprise": "Apprise"}
_OBJECTS: dict[type, str] = {DicomPdf: "Encapsulated PDF", DicomSr: "Structured Report", DicomSc: "Secondary Capture"}
_HERE = ("localhost", "127.0.0.1", "::1")


class Flow(msgspec.Struct, kw_only=True, frozen=True):
    """One outbound destination."""

    section: str
    """Of the settings."""
    name: str
    protocol: str
    address: str
    gets: str
    identified: Identified
    """sealed: patients' values go there only encrypted by this appliance's own key."""
    encrypted: Encrypted
    active: bool
    """Whether anything is sent there as the settings stand."""
    remark: str = ""
    last_at: int = 0


async def flows(house: House) -> list[Flow]:
    """Every destination that the settings name, with its last use where the records know it."""
    settings = (await house.settings()).settings
    url = load_bootstrap(house.home).url(house.home)
    found = [*_deliveries(settings), *_nodes(settings), *_services(settings), *_notices(settings), *_parts(settings, url)]
    return [msgspec.structs.replace(one, last_at=await last_use(house.records, one.section, _key(one))) for one in found]


def _key(flow: Flow) -> str:
    """By what the records know a destination."""
    if flow.section == "notify":
        return next(way for way, protocol in _NOTICE_PROTOCOLS.items() if protocol == flow.protocol)
    return flow.address if flow.section == "audit" else flow.name


def _deliveries(settings: Settings) -> list[Flow]:
    section = settings.delivery
    return [
        *(_delivery(one, "every report") for one in section.destinations),
        *(_delivery(one, "failure reports") for one in section.failure_destinations),
        *(_delivery(one, "group reports") for one in section.group_destinations),
        *(_delivery(outgoing.outgoing_of(one), "every report of its own studies") for one in settings.drops.folders),
        *(_study(one) for one in section.study_destinations),
    ]


def _study(one: StudyDestination) -> Flow:
    return Flow(
        section="delivery",
        name=one.name,
        protocol="DICOM (images)" if isinstance(one, DicomStudy) else "DICOMweb (STOW-RS)",
        address=f"{one.called_ae}@{one.host}:{one.port}" if isinstance(one, DicomStudy) else shown(one.url),
        gets=f"the de-identified images of {'every study' if one.send == 'every' else 'studies that somebody sends by hand'}",
        identified="no",
        encrypted=("yes" if one.tls else "no") if isinstance(one, DicomStudy) else _by_scheme(one.url),
        active=True,
    )


def _delivery(one: Destination, what: str) -> Flow:
    protocol, address, encrypted = _way(one)
    dicom = isinstance(one, Dicom | StowRs)
    formats = ", ".join(destinations.needs(one))
    named = dicom or destinations.wants_identity(one) or destinations.names_in_values(one)
    if dicom:
        pages = "" if destinations.wants_identity(one) else "; none on the pages themselves"
        gets = f"{what} as {formats} with the patient and study attributes of its study{pages}"
    elif named:
        gets = f"{what} as {formats}, with patient ID, name, birth date and accession number where its setting puts them"
    else:
        gets = f"{what} as {formats}, by our identifiers"
    return Flow(
        section="delivery",
        name=one.name,
        protocol=protocol,
        address=address,
        gets=gets,
        identified="yes" if named else "no",
        encrypted=encrypted,
        active=True,
    )


def _way(one: Destination) -> tuple[str, str, Encrypted]:
    """Protocol, address and encryption of a destination."""
    match one:
        case DicomPdf() | DicomSr() | DicomSc():
            return f"DICOM ({_OBJECTS[type(one)]})", f"{one.called_ae}@{one.host}:{one.port}", "yes" if one.tls else "no"
        case StowRs():
            return "DICOMweb (STOW-RS)", shown(one.url), _by_scheme(one.url)
        case Rest():
            return f"REST ({one.method})", shown(one.url), _by_scheme(one.url)
        case Email():
            return "SMTP", f"{one.host}:{one.port}, {len(one.recipients.split(','))} recipient(s)", _of_mail(one.security)
        case Folder():
            return "Folder", one.folder, "may be"
        case Sftp():
            return "SFTP", f"{one.user}@{one.host}:{one.port}:{one.folder}", "yes"
        case Hl7():
            return "HL7 v2 (MLLP)", f"{one.host}:{one.port}", "yes" if one.tls else "no"


def _services(settings: Settings) -> list[Flow]:
    away = settings.compute.mode != "local" and settings.cloud.protocol == "sdk"
    images = "the de-identified images of every order; results come back"
    tests = "nothing of a study; in this version only the test of the connection goes there"
    found = []
    if settings.cloud.api_url:
        found.append(("cloud", "Cloud", settings.cloud.protocol.upper(), shown(settings.cloud.api_url)))
    if settings.saml.idp_metadata_url:
        found.append(("saml", "Identity provider", "SAML metadata", shown(settings.saml.idp_metadata_url)))
    scan = settings.scan
    if scan.host and not scan.socket and scan.host not in _HERE:
        found.append(("scan", "Malware scanner", "clamd", f"{scan.host}:{scan.port}"))
    encrypted: dict[str, Encrypted] = {
        "scan": "no",
        "cloud": _by_scheme(settings.cloud.api_url),
        "saml": _by_scheme(settings.saml.idp_metadata_url),
    }
    return [
        Flow(
            section=section,
            name=name,
            protocol=protocol,
            address=address,
            gets=images if away and section == "cloud" else tests,
            identified="no",
            encrypted=encrypted[section],
            active=away and section == "cloud",
            remark="" if away and section == "cloud" else "used by its test only",
        )
        for section, name, protocol, address in found
    ]


def _notices(settings: Settings) -> list[Flow]:
    """Each way by which some event is told."""
    section = settings.notify
    used: set[str] = {route for one in section.rules if one.name in section.events for route in one.routes}
    used |= {section.protocol} if section.events else set()
    ways: list[tuple[str, bool, str, Encrypted]] = [
        ("email", bool(section.smtp_host), f"{section.smtp_host}:{section.smtp_port}", _of_mail(section.smtp_security)),
        ("webhook", bool(section.webhook_url), shown(section.webhook_url), _by_scheme(section.webhook_url)),
        ("apprise", bool(section.url), "set; not shown, it may hold a token", "may be"),
    ]
    return [
        Flow(
            section="notify",
            name="Notices",
            protocol=_NOTICE_PROTOCOLS[route],
            address=address,
            gets="events by our identifiers" + (", with the patient's name and ID" if section.identity else ""),
            identified="yes" if section.identity and route in used else "no",
            encrypted=encrypted,
            active=route in used,
            remark="" if route in used else "used by its test only",
        )
        for route, there, address, encrypted in ways
        if there and (route in used or route == section.protocol)
    ]


def _nodes(settings: Settings) -> list[Flow]:
    return [_node(one) for one in settings.nodes.everyone]


def _node(one: Node) -> Flow:
    return Flow(
        section="nodes",
        name=one.name,
        protocol="DICOMweb (QIDO-RS, WADO-RS)" if isinstance(one, WebNode) else "DICOM (query and retrieve)",
        address=shown(one.url) if isinstance(one, WebNode) else f"{one.called_ae}@{one.host}:{one.port}",
        gets="what somebody looks for, such as a patient ID, and the UIDs of studies that are asked about or pulled",
        identified="yes",
        encrypted=_by_scheme(one.url) if isinstance(one, WebNode) else "yes" if one.tls else "no",
        active=True,
    )


def _parts(settings: Settings, database: str) -> list[Flow]:
    """Parts of the appliance itself that may stand on other machines."""
    found = []
    if settings.compute.scheduler:
        found.append(
            Flow(
                section="compute",
                name="Cluster",
                protocol="Dask",
                address=settings.compute.scheduler,
                gets="the names of folders of de-identified copies, over which its workers run products",
                identified="no",
                encrypted="yes" if settings.compute.scheduler.startswith("tls://") else "no",
                active=True,
            )
        )
    if not database.startswith("sqlite"):
        parts = urlsplit(database)
        here = parts.hostname is None or parts.hostname in _HERE
        demanded = any(f"sslmode={one}" in parts.query for one in ("require", "verify-ca", "verify-full"))
        found.append(
            Flow(
                section="ranvier.toml",
                name="Database",
                protocol="PostgreSQL",
                address=f"{parts.hostname or 'socket'}:{parts.port or 5432}",
                gets="all records; patients' values in them sealed by this appliance's key",
                identified="sealed",
                encrypted="does not leave" if here else "yes" if demanded else "may be",
                active=True,
            )
        )
    if settings.audit.syslog != "none" and settings.audit.syslog_host:
        found.append(
            Flow(
                section="audit",
                name="Syslog",
                protocol=f"RFC 5424 ({settings.audit.syslog.upper()})",
                address=f"{settings.audit.syslog_host}:{settings.audit.syslog_port}",
                gets=_audited(settings),
                identified="yes" if settings.audit.messages and settings.audit.patients_named else "no",
                encrypted="yes" if settings.audit.syslog == "tls" else "no",
                active=True,
            )
        )
    return found


def _audited(settings: Settings) -> str:
    anchors = "anchors of the audit: a number of rows, a hash, a signature"
    if not settings.audit.messages:
        return anchors
    names = "patient ID and Study Instance UID" if settings.audit.patients_named else "our identifiers and pseudonyms"
    return f"{anchors}; every row of the audit as DICOM audit message, with {names}"


def shown(url: str) -> str:
    """A URL without what may be a secret in it: user, password, query."""
    parts = urlsplit(url)
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"


def _by_scheme(url: str) -> Encrypted:
    return "yes" if url.lower().startswith("https://") else "no"


def _of_mail(security: str) -> Encrypted:
    return "no" if security == "none" else "yes"
