"""Where a URL may lead."""

import asyncio
import socket
from typing import Any

import pytest

from appliance.outbound import AddressRefused, UrlRefused, refusal, resolve

LOCAL = ["127.0.0.1", "127.8.9.1", "::1", "169.254.169.254", "fe80::1", "fe80::1%eth0", "::ffff:127.0.0.1", "::ffff:a9fe:a9fe"]
CLOUDS = ["100.100.100.200", "168.63.129.16", "192.0.0.192", "fd00:ec2::254", "::ffff:100.100.100.200"]
TUNNELS = ["64:ff9b:1::7f00:1", "2001:0:4136:e378:8000:63bf:80ff:fffe"]
HIDDEN = [*TUNNELS, "64:ff9b::7f00:1", "2002:7f00:1::", "::7f00:1", "64:ff9b::a9fe:a9fe"]
NOBODY = ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "240.0.0.1", "::ffff:0.0.0.0"]
FINE = ["10.1.2.3", "192.168.0.7", "172.16.0.1", "8.8.8.8", "2001:4860:4860::8888", "fd00::7"]


@pytest.mark.parametrize("address", LOCAL + HIDDEN + CLOUDS)
def test_loopback_and_link_local_are_refused_unless_allowed(address: str) -> None:
    """Issue 8, row SSRF: also inside IPv6 addresses."""
    assert refusal(address, allow_local=False)
    assert not refusal(address, allow_local=True)


@pytest.mark.parametrize("address", NOBODY)
def test_what_is_no_host_is_refused_in_any_case(address: str) -> None:
    assert refusal(address, allow_local=False)
    assert refusal(address, allow_local=True)


@pytest.mark.parametrize("address", FINE)
def test_a_hospital_s_own_network_is_fine(address: str) -> None:
    assert not refusal(address, allow_local=False)


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "gopher://10.0.0.1/",
        "//10.0.0.1/",
        "http://",
        "http:///path",
        "http://user@10.0.0.1/",
        "http://:secret@10.0.0.1/",
        "http://10.0.0.1\\@127.0.0.1/",
        "http://10.0.0.1:99999/",
        "http://10.0.0.1:0/",
        "http://[::1/",
        "http://" + "a" * 70 + ".example/",
    ],
)
async def test_urls_with_tricks_are_refused(url: str) -> None:
    with pytest.raises(UrlRefused):
        await resolve(url)


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "LOCALHOST.",
        "127.0.0.1",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "2852039166",
        "0xa9fea9fe",
        "169.254.169.254",
        "[::ffff:169.254.169.254]",
        "0",
        "[::]",
    ],
)
async def test_no_spelling_of_a_local_address_is_let_through(host: str) -> None:
    """Faults and threats, row SSRF: decimal, octal, hexadecimal, short, mapped; judged by what the system makes of them."""
    with pytest.raises((AddressRefused, UrlRefused, OSError)):
        await resolve(f"http://{host}:8080/")


async def test_a_name_that_leads_elsewhere_a_moment_later_leads_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Faults and threats, row SSRF: DNS rebinding. What was judged is what comes back, and it is asked for once."""
    answers = iter(["10.1.2.3", "127.0.0.1", "127.0.0.1"])

    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), 80))]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo, raising=False)
    pinned = await resolve("http://rebinding.example/")
    assert (pinned.host, pinned.addresses) == ("rebinding.example", ("10.1.2.3",))
    with pytest.raises(AddressRefused):
        await resolve("http://rebinding.example/")


async def test_addresses_come_with_the_port_of_the_scheme() -> None:
    found = await resolve("https://10.1.2.3/reports")
    assert (found.host, found.port, found.addresses) == ("10.1.2.3", 443, ("10.1.2.3",))
    assert (await resolve("http://[fd00::7]:8080/")).port == 8080


async def test_of_several_addresses_only_the_allowed_ones_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = ["127.0.0.1", "10.1.2.3", "::1"]

    async def getaddrinfo(*_: Any, **__: Any) -> list[Any]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, 80)) for one in answers]

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo, raising=False)
    assert (await resolve("http://his.example/")).addresses == ("10.1.2.3",)
    answers.remove("10.1.2.3")
    with pytest.raises(AddressRefused, match="this machine itself"):
        await resolve("http://his.example/")
