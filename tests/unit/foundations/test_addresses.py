"""Addresses of callers, as sockets name them and as settings do."""

import pytest

from appliance.addresses import is_loopback, is_within


@pytest.mark.parametrize(
    ("address", "networks", "held"),
    [
        ("192.0.2.7", ["192.0.2.0/24"], True),
        ("192.0.2.7", ["198.51.100.1", "192.0.2.7"], True),
        ("::ffff:192.0.2.7", ["192.0.2.0/24"], True),
        ("fe80::1%eth0", ["fe80::/10"], True),
        ("192.0.2.7", ["2001:db8::/32", "192.0.3.0/24"], False),
        ("192.0.2.7", ["999.0.0.0/8"], False),
        ("somebody", ["0.0.0.0/0"], False),
        ("192.0.2.7", [], False),
    ],
)
def test_an_address_is_within_the_networks_that_hold_it(address: str, networks: list[str], held: bool) -> None:
    assert is_within(address, networks) is held


@pytest.mark.parametrize(
    ("address", "here"),
    [("127.0.0.2", True), ("::1", True), ("::ffff:127.0.0.1", True), ("192.0.2.7", False), ("localhost", False)],
)
def test_a_loopback_address_is_known_in_every_spelling(address: str, here: bool) -> None:
    assert is_loopback(address) is here
