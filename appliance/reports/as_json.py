"""The report for machines: `ReportContent` with the sentences of the first page; its JSON Schema is `schema()`."""

from pathlib import PurePath
from typing import Any

import msgspec

from appliance.reports import words
from appliance.reports.content import SCHEMA, PictureFile, ProductSection, RenderRequest, ReportContent


class JsonReport(ReportContent, frozen=True, kw_only=True):
    """A report as JSON; numbers that cannot be computed are null."""

    notice: str
    headline: str
    not_said: list[str]
    """What the report does not say."""


def make(request: RenderRequest) -> bytes:
    """The report as indented UTF-8 JSON; pictures by file name only, the patient's identity never."""
    return msgspec.json.format(msgspec.json.encode(document(request.content)), indent=2) + b"\n"


def document(content: ReportContent) -> JsonReport:
    """The report as machines read it, here and in XML."""
    return JsonReport(
        **{name: getattr(content, name) for name in ReportContent.__struct_fields__ if name not in ("sections", "qc_rows")},
        sections=[_without_paths(section) for section in content.sections],
        qc_rows=[msgspec.structs.replace(row, picture=PurePath(row.picture).name) for row in content.qc_rows],
        notice=words.NOTICE_LONG,
        headline=words.headline(content),
        not_said=list(words.limits(content)),
    )


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the report; what it describes changes only with the version in its `$id`."""
    described = msgspec.json.schema(JsonReport)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": f"urn:{SCHEMA}", "title": SCHEMA} | described


def _without_paths(section: ProductSection) -> ProductSection:
    # The pictures lie on the appliance; where is nobody else's business.
    pictures = [PictureFile(path=PurePath(one.path).name, title=one.title) for one in section.pictures]
    return msgspec.structs.replace(section, pictures=pictures)
