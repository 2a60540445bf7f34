"""Settings of de-identification, by the names of the sources."""

from typing import Annotated, Literal

from appliance.fields import Section, field


class DeidentifySection(Section, frozen=True, kw_only=True):
    """De-identification"""

    profile: Annotated[
        Literal["safe-harbor-shifted", "safe-harbor", "ps3.15-basic"],
        field(
            "Profile",
            "safe-harbor removes dates; safe-harbor-shifted keeps intervals and is not Safe Harbor by the letter; ps3.15-basic "
            "follows DICOM Table E.1-1 with options.",
        ),
    ] = "safe-harbor-shifted"
    shift_dates: Annotated[bool, field("Shift dates", "Off: all dates and times are removed.")] = True
    date_shift_range_days: Annotated[
        int, field("Date shift range", "Dates move by up to so many days either way.", unit="days", ge=1, le=3650)
    ] = 365
    mask_zip_codes: Annotated[
        bool, field("Mask ZIP codes", "Keep three digits of the ZIP code instead of deleting the address.")
    ] = False
    remove_software_versions: Annotated[
        bool, field("Remove software versions", "Converters use them; off is recommended.", recommended="off")
    ] = False
    retain_device_identity: Annotated[
        bool, field("Retain device identity", "Profile ps3.15-basic only: station and serial number stay.", recommended="off")
    ] = False
    send_accession_number: Annotated[
        bool, field("Send accession number", "With the order's metadata; it is always removed from DICOM.")
    ] = False
