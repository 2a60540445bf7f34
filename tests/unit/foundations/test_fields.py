"""The words of forms: what they accept, and what they never show."""

from typing import Annotated, Any, Literal

import msgspec
import pytest

from appliance.fields import (
    UNCHANGED,
    AeTitle,
    Host,
    Name,
    Port,
    Secret,
    Section,
    Url,
    decode_hook,
    field,
    masked,
    schema_hook,
    section_fields,
    to_plain,
)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (AeTitle, ["RANVIER_SCP", "A", "AE 1", "a" * 16, "~!"], ["", " A", "A ", "a" * 17, "A\\B", "Ä", "A\n"]),
        (Port, [1, 104, 65535], [0, 65536, "104"]),
        (Host, ["127.0.0.1", "pacs.example", "fe80::1"], ["", "a b", "http://pacs", "pacs/1", "pacs\n"]),
        (Url, ["", "https://host/path?x=1", "http://host:1"], ["ftp://host", "https://", "https://a b", "\n", "https://a\n"]),
        (Name, ["PACS 1", "a.b-c_d"], ["", " a", "a" * 41, "a/b", "ä", "a\n"]),
    ],
)
def test_a_word_takes_what_it_means_and_nothing_else(kind: Any, good: list[Any], bad: list[Any]) -> None:
    for value in good:
        assert msgspec.convert(value, kind) == value
    for value in bad:
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(value, kind)


class Door(Section, frozen=True, kw_only=True):
    """Door"""

    ae: Annotated[AeTitle, field("AE title", "The name.", restart="receive", recommended="DOOR")] = "DOOR"
    lock: Annotated[Secret, field("Password")] = msgspec.field(default_factory=Secret)
    mode: Annotated[Literal["open", "shut"], field("Mode", applies_when="site.name=x", unit="s", widget="switch")] = "open"


def test_one_declaration_gives_title_help_and_hints() -> None:
    properties = msgspec.json.schema(Door, schema_hook=schema_hook)["$defs"]["Door"]["properties"]
    assert properties["ae"]["title"] == "AE title"
    assert properties["ae"]["description"] == "The name."
    assert properties["ae"]["x-restart"] == "receive"
    assert properties["ae"]["x-recommended"] == "DOOR"
    assert {key: properties["mode"][key] for key in ("x-applies-when", "x-unit", "x-widget")} == {
        "x-applies-when": "site.name=x",
        "x-unit": "s",
        "x-widget": "switch",
    }
    assert list(section_fields(Door)) == ["ae", "lock", "mode"]
    assert {name: meta.title for name, meta in section_fields(Door).items() if meta} == {
        "ae": "AE title",
        "lock": "Password",
        "mode": "Mode",
    }


def test_a_secret_is_written_only() -> None:
    door = msgspec.convert({"lock": "open sesame"}, Door, dec_hook=decode_hook)
    assert door.lock.reveal() == "open sesame"
    assert "sesame" not in f"{door!r} {door.lock} {door.lock!r}"
    assert to_plain(door, masked)["lock"] == UNCHANGED
    assert to_plain(Door(), masked)["lock"] == ""
    assert msgspec.json.schema(Door, schema_hook=schema_hook)["$defs"]["Door"]["properties"]["lock"]["writeOnly"] is True


def test_secrets_are_equal_by_value_and_true_when_set() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert len({Secret("a"), Secret("a")}) == 1
    assert not Secret() and Secret("a")


def test_a_section_refuses_fields_it_does_not_have() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.convert({"colour": "red"}, Door, dec_hook=decode_hook)


def test_other_types_are_not_guessed() -> None:
    with pytest.raises(NotImplementedError):
        decode_hook(complex, "1")
    with pytest.raises(NotImplementedError):
        schema_hook(complex)
