"""One door to all protocols: which module sends to a destination, and what a destination must be given.

A protocol's module, with its heavy library, is imported when it is first used.
"""

from appliance.delivery.parcel import Outcome, Parcel, Shipment
from appliance.delivery.section import (
    AnyDestination,
    Destination,
    Dicom,
    DicomNode,
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
    StowStudy,
    StudyDestination,
)
from appliance.probe import Probe


async def send(parcel: Parcel, section: Destination) -> Outcome:
    """Sends a parcel; every way it can end is an outcome."""
    match section:
        case DicomPdf() | DicomSr() | DicomSc():
            from appliance.delivery import dicom

            return await dicom.send(parcel, section)
        case StowRs():
            from appliance.delivery import stow

            return await stow.send(parcel, section)
        case Rest():
            from appliance.delivery import rest

            return await rest.send(parcel, section)
        case Email():
            from appliance.delivery import mail

            return await mail.send(parcel, section)
        case Folder():
            from appliance.delivery import folder

            return await folder.send(parcel, section)
        case Sftp():
            from appliance.delivery import sftp

            return await sftp.send(parcel, section)
        case Hl7():
            from appliance.delivery import hl7

            return await hl7.send(parcel, section)


async def send_study(shipment: Shipment, section: StudyDestination) -> Outcome:
    """Sends a study's images; every way it can end is an outcome."""
    from appliance.delivery import images

    return await images.send(shipment, section)


async def probe(section: AnyDestination) -> Probe:
    """Tests a destination without sending anything."""
    match section:
        case DicomStudy():
            return await echo(section)
        case DicomPdf() | DicomSr() | DicomSc():
            from appliance.delivery import dicom

            return await dicom.probe(section)
        case StowRs() | StowStudy():
            from appliance.delivery import stow

            return await stow.probe(section)
        case Rest():
            from appliance.delivery import rest

            return await rest.probe(section)
        case Email():
            from appliance.delivery import mail

            return await mail.probe(section)
        case Folder():
            from appliance.delivery import folder

            return await folder.probe(section)
        case Sftp():
            from appliance.delivery import sftp

            return await sftp.probe(section)
        case Hl7():
            from appliance.delivery import hl7

            return await hl7.probe(section)


def needs(section: Destination) -> tuple[str, ...]:
    """The formats that a parcel for this destination must hold."""
    match section:
        case DicomPdf():
            return ("dicom-pdf",)
        case DicomSr():
            return ("dicom-sr",)
        case DicomSc():
            return ("dicom-sc",)
        case StowRs():
            return (section.objects,)
        case Hl7():
            return ("hl7",)
        case Rest() | Email() | Folder() | Sftp():
            return section.formats


def wants_identity(section: Destination) -> bool:
    """Whether what is sent there names the patient on its pages (RES-05); DICOM objects always do in their headers."""
    match section:
        case DicomPdf() | DicomSc() | StowRs():
            return section.identity_on_pages
        case DicomSr():
            return True
        case Hl7():
            return section.identity
        case Rest() | Email() | Folder() | Sftp():
            return section.identity_in_reports


def names_in_values(section: Destination) -> bool:
    """Whether a template may name the patient."""
    match section:
        case Rest():
            return section.identity_in_values
        case Email():
            return section.identity_in_reports
    return False


def made_anew(section: Destination) -> bool:
    """Whether its files are made for it alone, and not those that lie with the report."""
    return isinstance(section, Dicom | StowRs | Hl7) or wants_identity(section)


async def echo(section: DicomNode) -> Probe:
    """Asks a DICOM node for an echo."""
    from appliance.delivery import dicom

    return await dicom.echo(section)
