"""Settings of quality control."""

from typing import Annotated, Literal

from appliance.fields import Section, field

CHECK_NAMES = (
    *("completeness", "mr-series", "nifti-files", "readable", "lossless", "diffusion", "age", "sex", "descriptions"),
    *(
        "volumes",
        "gradients",
        "protocol",
        "image-conversion",
        "image-slices",
        "image-interleave",
        "image-dropout",
        "image-motion",
        "image-noise",
    ),
    *("image-coverage", "gradient-table", "gradient-tags"),
)
"""Every check, as settings and findings name it; the checks themselves are not loaded for this."""


class QcSection(Section, frozen=True, kw_only=True):
    """Quality control"""

    switched_off: Annotated[
        tuple[str, ...],
        field(
            "Checks switched off",
            "By name, as the manual's page on quality control lists them. A check that is off shows as bypassed and counts as "
            "passed.",
            widget="qc-checks",
        ),
    ] = ()
    repair_gradients: Annotated[
        bool,
        field(
            "Repair flipped gradient tables",
            "On: a table whose axes are clearly flipped or exchanged is repaired for the analysis, and the report says so. "
            "Off: the study stops until a person agrees. Where the gain is small, a person always decides. The images are "
            "never changed.",
            recommended="off",
        ),
    ] = False
    protocol_edition: Annotated[
        Literal["", "2024-11", "2025-09", "2026-05"],
        field(
            "Acquisition protocol",
            "Empty: what each product asks for itself. Otherwise the published limits of that edition for every product.",
        ),
    ] = ""
    study_description: Annotated[
        str,
        field(
            "Study description asked for",
            "For products that ask for none themselves; compared without regard to case and white space. Empty: any.",
            max_length=64,
        ),
    ] = ""
    series_description: Annotated[
        str,
        field(
            "Series description asked for",
            "Chooses the series where a product asks for none itself; compared without regard to case and white space. "
            "Empty: any.",
            max_length=64,
        ),
    ] = ""
