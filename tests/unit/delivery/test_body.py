"""The template of a REST body."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from appliance.delivery import body

VALUES = {"order": "019a", "content": "JVBERi0=", "format": "pdf", "fa_mean": "0.42"}


def filled(template: str, values: dict[str, str] | None = None, *, identity: bool = False) -> object:
    return json.loads(body.fill(template, values or VALUES, identity=identity))


def test_names_inside_texts_are_replaced() -> None:
    """RES-02: the request body is a template."""
    template = '{"doc": "$content", "ids": ["${order}-1", 7, null, {"fa": "$fa_mean"}], "price": "$$5"}'
    assert filled(template) == {"doc": "JVBERi0=", "ids": ["019a-1", 7, None, {"fa": "0.42"}], "price": "$5"}


def test_an_empty_body_sends_the_standard_object() -> None:
    values = VALUES | dict.fromkeys(body.ALWAYS, "x")
    assert filled("  ", values) == dict.fromkeys(body.STANDARD, "x")


@given(st.text())
def test_no_value_can_change_the_structure(value: str) -> None:
    found = filled('{"a": "$order", "b": ["<$order>"]}', {"order": value})
    assert found == {"a": value, "b": [f"<{value}>"]}


def test_values_are_never_evaluated_or_replaced_twice() -> None:
    hostile = '", "admin": true, "x": "$content {{7*7}} ${__class__} <b>\r\n\x1b[31m'
    assert filled('{"a": "$order"}', {"order": hostile, "content": "secret"}) == {"a": hostile}


def test_keys_of_the_body_are_never_replaced() -> None:
    assert filled('{"$order": "$order"}') == {"$order": "019a"}


def test_an_unknown_name_is_an_error_that_names_it_and_the_field() -> None:
    with pytest.raises(body.BodyNamesUnknown) as caught:
        filled('{"a": "$order $age_of_aunt"}')
    assert "age_of_aunt" in caught.value.what
    assert caught.value.field == "body"


def test_a_name_outside_quotes_is_no_json() -> None:
    with pytest.raises(body.BodyNotJson) as caught:
        filled('{"a": $order}')
    assert "line 1" in caught.value.what


def test_a_dollar_without_a_name_is_an_error() -> None:
    with pytest.raises(body.BodyDollar):
        filled('{"a": "5 $ each"}')


def test_a_body_of_endless_depth_is_no_json() -> None:
    with pytest.raises(body.BodyNotJson):
        body.parse("[" * 200_000)


def test_identity_is_refused_unless_the_destination_allows_it() -> None:
    """RES-05: identity leaves only where a setting says so."""
    values = VALUES | {"patient_id": "P1"}
    with pytest.raises(body.BodyNamesIdentity) as caught:
        filled('{"a": "$patient_id"}', values)
    assert "$patient_id" in caught.value.what
    assert "P1" not in caught.value.what
    assert filled('{"a": "$patient_id"}', values, identity=True) == {"a": "P1"}


def test_checking_a_body_gives_the_names_that_only_a_product_explains() -> None:
    assert body.check('{"a": "$order $fa_mean"}', identity=False) == {"fa_mean"}
    assert body.check("", identity=False) == set()
