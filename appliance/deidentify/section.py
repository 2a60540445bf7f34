"""Settings of de-identification, by the names of the sources."""

from typing import Annotated, Literal

from appliance.fields import Section, field

_CLOUD = "compute.mode=cloud|hub"


class DeidentifySection(Section, frozen=True, kw_only=True):
    """De-identification"""

    profile: Annotated[
        Literal["safe-harbor-shifted", "safe-harbor", "ps3.15-basic"],
        field(
            "Profile",
            "safe-harbor removes dates; safe-harbor-shifted keeps intervals and is not Safe Harbor by the letter; ps3.15-basic "
            "follows DICOM Table E.1-1 with options. With local processing nothing leaves, and the defaults hold.",
            applies_when=_CLOUD,
        ),
    ] = "safe-harbor-shifted"
    shift_dates: Annotated[
        bool, field("Shift dates", "Off: all dates and times are removed.", recommended="on", applies_when=_CLOUD)
    ] = True
    date_shift_range_days: Annotated[
        int,
        field(
            "Date shift range", "Dates move by up to so many days either way.", unit="days", ge=1, le=3650, applies_when=_CLOUD
        ),
    ] = 365
    mask_zip_codes: Annotated[
        bool,
        field(
            "Mask ZIP codes",
            "Keep three digits of the ZIP code instead of deleting the address.",
            recommended="on",
            applies_when=_CLOUD,
        ),
    ] = False
    remove_software_versions: Annotated[
        bool,
        field("Remove software versions", "Converters use them; off is recommended.", recommended="off", applies_when=_CLOUD),
    ] = False
    retain_device_identity: Annotated[
        bool,
        field(
            "Retain device identity",
            "Station and serial number stay.",
            recommended="off",
            applies_when="compute.mode=cloud|hub, deidentify.profile=ps3.15-basic",
        ),
    ] = False
    drawn_text: Annotated[
        Literal["declared", "block", "mask"],
        field(
            "Drawn text",
            "declared: instances that say so are refused. block: pixels are read by OCR, and an order with text waits for a "
            "person. mask: such text is blackened. OCR needs Tesseract and takes about 0.1 s of a core for each frame.",
            applies_when=_CLOUD,
        ),
    ] = "declared"
    other_objects: Annotated[
        Literal["refuse", "leave-out"],
        field(
            "Other objects",
            "Encapsulated documents, reports, secondary captures and screen saves never leave. refuse: one of them stops the "
            "order. leave-out: the images leave without it, and the passport says how many were left out.",
            applies_when=_CLOUD,
        ),
    ] = "refuse"
    send_accession_number: Annotated[
        bool, field("Send accession number", "With the order's metadata; it is always removed from DICOM.", applies_when=_CLOUD)
    ] = False
