"""Where a URL that somebody set may lead: the one guard against requests to what only this machine can reach.

The name is resolved here, once, and the caller connects to the addresses that come back: a name that resolves otherwise a
moment later (DNS rebinding) leads nowhere else. Loopback and link-local addresses, among them the metadata services of cloud
machines (169.254.169.254), are refused unless the setting of that very URL allows them; so are addresses that are no host's.
"""

import asyncio
import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import urlsplit

from appliance.addresses import Address
from appliance.errors import Misconfigured

_NAT64 = (ipaddress.IPv6Network("64:ff9b::/96"), ipaddress.IPv6Network("64:ff9b:1::/48"))
_METADATA = frozenset(
    ipaddress.ip_address(one) for one in ("100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "fd20:ce::254")
)
"""Where clouds answer their own machines beside 169.254.169.254 (Alibaba, Azure, Oracle, Amazon, Google)."""
_PORTS = {"http": 80, "https": 443}


class AddressRefused(Misconfigured):
    """The URL leads to {why}, where this appliance sends nothing."""

    code = "address-refused"
    next_step = "Correct the URL; a host on this machine or its link must be allowed in the setting of the URL."


class UrlRefused(Misconfigured):
    """The URL cannot be used: {why}."""

    code = "url-refused"
    next_step = "Give an address like https://host.example/path, without user and password."


@dataclass(frozen=True, slots=True)
class Pinned:
    """Where to connect to, and by which name the host is to prove itself."""

    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...]


async def resolve(url: str, *, allow_local: bool = False, field: str = "url") -> Pinned:
    """The addresses that a URL leads to; raises `UrlRefused`, `AddressRefused`, and `OSError` when the name is unknown.

    Every spelling of an address (decimal, octal, IPv4 inside IPv6) is judged by what it resolves to.
    """
    scheme, host, port = _parts(url, field)
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except UnicodeError:
        raise UrlRefused(field=field, why="its host is no name") from None
    addresses = list(dict.fromkeys(str(one[4][0]) for one in found))
    reasons = {one: refusal(one, allow_local=allow_local) for one in addresses}
    allowed = tuple(one for one in addresses if not reasons[one])
    if not allowed:
        raise AddressRefused(field=field, why=next(iter(reasons.values()), "no address"))
    return Pinned(scheme=scheme, host=host, port=port, addresses=allowed)


def refusal(address: str, *, allow_local: bool) -> str:
    """Why nothing is sent to an address; empty when something may be."""
    plain = _embedded(ipaddress.ip_address(address.partition("%")[0]))
    if plain.is_unspecified or plain.is_multicast or (isinstance(plain, ipaddress.IPv4Address) and plain.is_reserved):
        return "an address that is no host's"
    if allow_local:
        return ""
    if plain.is_loopback:
        return "this machine itself"
    if plain.is_link_local:
        return "an address of its own link"
    if plain in _METADATA:
        return "the metadata service of a cloud"
    return ""


def _embedded(address: Address) -> Address:
    """The IPv4 address inside an IPv6 one (mapped, compatible, 6to4, Teredo, NAT64), else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    inner = address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
    number = int(address)
    if inner is None and (any(address in one for one in _NAT64) or 1 < number < 2**32):
        inner = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    return inner or address


def _parts(url: str, field: str) -> tuple[str, str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UrlRefused(field=field, why="it is no address") from None
    if parts.scheme not in _PORTS:
        raise UrlRefused(field=field, why="it begins with neither https:// nor http://")
    if parts.username is not None or parts.password is not None or "\\" in url:
        raise UrlRefused(field=field, why="it holds a user, a password or a backslash")
    if not host or port == 0:
        raise UrlRefused(field=field, why="it names no host")
    return parts.scheme, host, port or _PORTS[parts.scheme]
