"""Addresses of callers: what one really is, and whether it is one of those that a setting names."""

import ipaddress
from collections.abc import Iterable

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


def address_of(text: str) -> Address | None:
    """The address that a socket names, without its zone, IPv4 inside IPv6 as itself; None for what is none."""
    try:
        found = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None) or found


def is_loopback(text: str) -> bool:
    """Whether an address leads to this machine itself."""
    found = address_of(text)
    return found is not None and found.is_loopback


def is_within(text: str, networks: Iterable[str]) -> bool:
    """Whether an address is one of these addresses or in one of these networks; what cannot be read holds nobody."""
    found = address_of(text)
    return found is not None and any(_holds(one, found) for one in networks)


def _holds(network: str, address: Address) -> bool:
    try:
        return address in ipaddress.ip_network(network, strict=False)
    except ValueError:
        return False
