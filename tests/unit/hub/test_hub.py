"""The hub's plain functions: what clients of three languages send, and ZIPs that are made to hurt."""

import base64
import json
from pathlib import Path

import pytest

from appliance.hub import answers, parts
from appliance.hub.errors import DatesWrong, OrderTooLarge, PartsDiffer, Unreadable, UrlOver
from appliance.hub.session import closed, opened, session_key
from appliance.keys import KeyPair, Keys, Unsealable, counter_mode, encrypt_for

KEY, IV = bytes(range(16)), bytes(range(16, 32))


def sent(plain: bytes) -> bytes:
    return base64.b64encode(IV + counter_mode(KEY, IV, plain))


def test_counter_mode_is_that_of_the_standard() -> None:
    """CLD-05: NIST SP 800-38A, F.5.1."""
    key = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
    initial = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    plain = bytes.fromhex("6bc1bee22e409f96e93d7e117393172a")
    assert counter_mode(key, initial, plain).hex() == "874d6191b620e3261bef6864990db6ce"


@pytest.mark.parametrize("filling", [b"", b"\0" * 3, b"\0" * 16, b"\x03" * 3, b"\x10" * 16])
def test_the_fillings_of_all_three_clients_are_read(filling: bytes) -> None:
    """CLD-05: Python fills with PKCS#7, JavaScript with zeros, Java not at all."""
    assert opened(KEY, sent(b'{"orderId": "TEST"}' + filling)) == {"orderId": "TEST"}


@pytest.mark.parametrize("plain", [b"", b"[]", b'"text"', b'{"a": 1}x', b'{"a": 1}\x03\x03', b'{"a": 1', b"\xff\xfe"])
def test_anything_else_is_refused(plain: bytes) -> None:
    with pytest.raises(Unreadable):
        opened(KEY, sent(plain))
    with pytest.raises(Unreadable):
        opened(KEY, b"no base64 " + plain)


def test_an_answer_has_no_filling() -> None:
    wire = base64.b64decode(closed(KEY, b"seventeen letters"))
    assert counter_mode(KEY, wire[:16], wire[16:]) == b"seventeen letters"


def test_a_session_key_is_read_by_the_hub_alone() -> None:
    pair, other = KeyPair(), KeyPair()
    told = json.dumps({"aes_key": base64.b64encode(KEY).decode()}).encode()
    body = base64.b64encode(encrypt_for(pair.public_pem, told))
    assert session_key(pair, body) == KEY
    with pytest.raises(Unsealable):
        session_key(other, body)
    short = base64.b64encode(encrypt_for(pair.public_pem, b'{"aes_key": "AAAA"}'))
    with pytest.raises(Unreadable):
        session_key(pair, short)


def test_an_address_is_over_when_it_is_over_or_was_made_by_nobody() -> None:
    keys = Keys(bytes(32))
    signed = parts.signature(keys, "order", "upload", 1, 1000)
    parts.check_signature(keys, "order", "upload", 1, 1000, signed, 999)
    for order, part, until, given, now in (
        ("order", 1, 1000, signed, 1000),
        ("order", 2, 1000, signed, 0),
        ("other", 1, 1000, signed, 0),
        ("order", 1, 2000, signed, 0),
        ("order", 1, 1000, "é", 0),
    ):
        with pytest.raises(UrlOver):
            parts.check_signature(keys, order, "upload", part, until, given, now)


def test_parts_make_one_file_by_their_numbers_and_only_with_their_etags(tmp_path: Path) -> None:
    etags = {}
    for number, data in ((7, b"second"), (3, b"first ")):
        writer = parts.PartWriter(parts.part_file(tmp_path, "u", number), 100)
        writer.add(data)
        etags[number] = writer.finish()
        writer.close()
    assert parts.joined(tmp_path, "u", [(7, etags[7]), (3, etags[3])]).read_bytes() == b"first second"
    for wrong in ([], [(3, etags[7])], [(4, etags[3])], [(3, etags[3]), (3, etags[3])]):
        with pytest.raises(PartsDiffer):
            parts.joined(tmp_path, "u", wrong)


def test_a_part_that_is_too_large_leaves_nothing(tmp_path: Path) -> None:
    writer = parts.PartWriter(parts.part_file(tmp_path, "u", 1), 5)
    with pytest.raises(OrderTooLarge):
        writer.add(b"six by")
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_days_are_read_as_the_clients_write_them() -> None:
    assert answers.span("1/2/2026", "01/02/2026") == (1_767_312_000_000, 1_767_398_400_000)
    for start, end in (("2026-01-02", "1/2/2026"), ("13/1/2026", "1/2/2026"), ("1/3/2026", "1/2/2026"), (None, 3)):
        with pytest.raises(DatesWrong):
            answers.span(start, end)
