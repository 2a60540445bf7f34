"""One door to all protocols: which module sends to a destination, and what a destination must be given.

A protocol's module, with its heavy library, is imported when it is first used.
"""

from appliance.delivery.parcel import Outcome, Parcel
from appliance.delivery.section import Destination, DicomPdf, Rest
from appliance.probe import Probe


async def send(parcel: Parcel, section: Destination) -> Outcome:
    """Sends a parcel; every way it can end is an outcome."""
    match section:
        case DicomPdf():
            from appliance.delivery import dicom_pdf

            return await dicom_pdf.send(parcel, section)
        case Rest():
            from appliance.delivery import rest

            return await rest.send(parcel, section)


async def probe(section: Destination) -> Probe:
    """Tests a destination without sending a report."""
    match section:
        case DicomPdf():
            from appliance.delivery import dicom_pdf

            return await dicom_pdf.probe(section)
        case Rest():
            from appliance.delivery import rest

            return await rest.probe(section)


def needs(section: Destination) -> tuple[str, ...]:
    """The formats that a parcel for this destination must hold."""
    match section:
        case DicomPdf():
            return ("dicom-pdf",)
        case Rest():
            return section.formats


async def echo(section: DicomPdf) -> Probe:
    """Asks a DICOM node for an echo."""
    from appliance.delivery import dicom_pdf

    return await dicom_pdf.echo(section)
