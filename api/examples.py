"""Examples of answers for the OpenAPI document, made from the schemas themselves: every answer of JSON has one that fits it."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

STUDY = "01a2016c-f1eb-70fb-8f5f-eaad0c01c811"
ORDER = "01a2016d-0b52-7c41-9d0e-5b8f3c2e7a10"
REPORT = "01a20175-42d0-7a9c-a6f1-0f2b9c64d3e5"
MOMENT = "2026-11-22T08:20:00.000Z"
WORDS = {
    "study": STUDY,
    "order": ORDER,
    "report": REPORT,
    "delivery": "01a20175-43aa-7f10-8c55-6e0d1b7a9f24",
    "id": "01a2016c-f1eb-70fb-8f5f-eaad0c01c812",
    "series": "01a2016c-f1ec-7b20-b1a7-3d5e8f9a0c46",
    "state": "DELIVERED",
    "word": "Delivered",
    "glyph": "●",
    "plain_glyph": "*",
    "qc": "ok 8/8",
    "sender": "MR_SCANNER_1",
    "name": "meyer",
    "user": "meyer",
    "actor": "meyer",
    "owner": "meyer",
    "role": "user",
    "version": "1.0.0",
    "products": "dti",
    "product": "dti",
    "formats": "pdf",
    "unit": "um2/ms",
    "label": "Mean diffusivity",
    "verdict": "passed",
    "next": "WyItcmVjZWl2ZWQiLDE3OTAwMDAwMDAwMDAsIjAxYTIwMTZjIl0",
}
"""Property -> what stands there in an example; elsewhere its own name, as an empty identifier would be another address."""
NUMBERS = {"version": 3, "percent": 100, "instances": 680, "series": 4, "matched": 1, "total": 1, "pages": 1}
_DEEPEST = 8

Schemas = Mapping[str, dict[str, Any]]


def example_of(schema: dict[str, Any], schemas: Schemas, name: str = "", depth: int = 0) -> Any:
    """A value that fits a JSON Schema of the document; `schemas` are its components."""
    if "$ref" in schema:
        return example_of(schemas[schema["$ref"].rpartition("/")[2]], schemas, name, depth)
    for choice in ("oneOf", "anyOf"):
        if choice in schema:
            told = [one for one in schema[choice] if one.get("type") != "null"]
            return example_of(told[0], schemas, name, depth) if told else None
    for given in ("const", "default"):
        if given in schema and not isinstance(schema[given], (dict, list)):
            return schema[given]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type", "object")
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "null")
    if kind == "array":
        return [example_of(schema["items"], schemas, name, depth + 1)] if depth < _DEEPEST and schema.get("items") else []
    if kind == "object":
        return {key: example_of(one, schemas, key, depth + 1) for key, one in schema.get("properties", {}).items()}
    return _plain(kind, name, schema)


def problem_of(status: HTTPStatus) -> dict[str, Any]:
    """What a problem of a status says, in general words."""
    code = status.phrase.lower().replace(" ", "-")
    words = {"type": f"urn:ranvier:problem:{code}", "title": status.phrase, "detail": f"{status.phrase}.", "code": code}
    return {**words, "status": int(status), "next_step": "See what the answer names.", "request_id": "9f86d081884c7d65"}


def _plain(kind: str, name: str, schema: dict[str, Any]) -> Any:
    if kind == "string":
        return MOMENT if name == "at" or name.endswith(("_at", "until", "now")) else WORDS.get(name, name)
    if kind in ("integer", "number"):
        return max(NUMBERS.get(name, 0), schema.get("minimum", 0))
    return False if kind == "boolean" else None
