"""Settings of the upload portal."""

from typing import Annotated, Literal

from appliance.fields import Section, field


class PortalSection(Section, frozen=True, kw_only=True):
    """Upload portal"""

    enabled: Annotated[
        bool, field("Upload portal", "Serve the upload page at /portal. It needs the malware scanner.", recommended="off")
    ] = False
    source: Annotated[
        str, field("Source", "The name of the hospital on the page; a code's own goes before it.", max_length=64)
    ] = ""
    phone: Annotated[str, field("Phone", "Shown to whoever needs help.", pattern=r"^(?!\n)$|^[0-9+()/ .\-]{3,40}(?!\n)$")] = ""
    email: Annotated[
        str, field("E-mail", "Shown to whoever needs help.", pattern=r"^(?!\n)$|^[^@\s<>\"']{1,64}@[^@\s<>\"']{1,64}(?!\n)$")
    ] = ""
    privacy: Annotated[
        str,
        field(
            "Privacy policy",
            "The text that an uploader must agree to, as plain text; which version was agreed to is kept.",
            max_length=20_000,
            widget="text",
        ),
    ] = "Your images and data are used for the examination that you were asked to send them for, and for nothing else."
    language: Annotated[Literal["en", "de"], field("Language", "Of the page, where the browser asks for none that it has.")] = (
        "en"
    )
    process: Annotated[
        Literal["reviewed", "at-once"],
        field(
            "Process uploads",
            "When the order of a study opens whose upload code names products: after staff looked at it, or at once. Without "
            "products it is stored only.",
        ),
    ] = "reviewed"
