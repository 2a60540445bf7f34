"""The test of an Apprise URL: only schemes of an allow-list, only hosts that `outbound` lets through, one message."""

import asyncio
import logging
import re
import socket
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from appliance import asking, outbound
from appliance.errors import Misconfigured
from appliance.notify.section import NotifySection
from appliance.probe import TEST_S, Probe

OWN_HOST = frozenset({"json", "form", "xml", "gotify", "mmost", "rocket", "matrix"})
"""Schemes that lead to the host in the URL; each also with an s at its end, for TLS."""
FIXED_HOST = frozenset({"slack", "discord", "tgram", "pover"})
"""Schemes that lead to the messenger's own host."""
_OURS = {"verify": "yes", "redirect": "no", "cto": "5", "rto": "6"}
"""Set by us whatever the URL says: certificates are verified, redirects are not followed, no time-out is endless."""
_TITLE, _TEXT = "Ranvier: test", "This is a test of the notifications. It holds nothing of any patient."


class SchemeRefused(Misconfigured):
    """The Apprise URL begins with a scheme that is not allowed."""

    code = "scheme-refused"
    next_step = "Use json, form, xml, gotify, mmost, rocket or matrix (with an s for TLS), slack, discord, tgram or pover."


class UrlUnusable(Misconfigured):
    """This is no Apprise URL."""

    code = "apprise-url"
    next_step = "Copy it anew; it has a scheme, :// and what the messenger's page of Apprise names."


async def probe(section: NotifySection) -> Probe:
    """Sends one test message by the section's Apprise URL."""
    try:
        url, where = await checked(section.url.reveal(), allow_local=section.own_machine)
    except Misconfigured as error:
        return Probe(ok=False, lines=[error.what, error.advice])
    except OSError:
        return Probe(ok=False, lines=["The name of its host is not known to the network."])
    return await asyncio.to_thread(_send, url, where)


async def checked(url: str, *, allow_local: bool) -> tuple[str, outbound.Pinned | None]:
    """The URL with our own options, and where it leads when it names a host; raises `SchemeRefused`, and as `outbound` does."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UrlUnusable(field="url") from None
    secure = parts.scheme.endswith("s") and parts.scheme[:-1] in OWN_HOST
    scheme = parts.scheme[:-1] if secure else parts.scheme
    if scheme not in OWN_HOST | FIXED_HOST:
        raise SchemeRefused(field="url")
    pinned = None
    if scheme in OWN_HOST:
        if not host:
            raise UrlUnusable(field="url")
        place = f"[{host}]" if ":" in host else host
        address = f"{'https' if secure else 'http'}://{place}{f':{port}' if port else ''}/"
        pinned = await outbound.resolve(address, allow_local=allow_local, field="url")
    asked = {**dict(parse_qsl(parts.query)), **_OURS}
    return urlunsplit(parts._replace(query=urlencode(asked))), pinned


def _send(url: str, where: outbound.Pinned | None) -> Probe:
    import apprise

    name = where.host if where else "the messenger"
    if where:
        try:
            socket.create_connection((where.addresses[0], where.port), timeout=TEST_S / 2).close()
        except OSError as fault:
            return Probe(ok=False, lines=[f"{asking.words_for(fault, f'{name} port {where.port}', TEST_S / 2)}."])
    sender = apprise.Apprise()
    if not sender.add(url):
        error = UrlUnusable(field="url")
        return Probe(ok=False, lines=[error.what, error.advice])
    with apprise.LogCapture(level=logging.WARNING) as said:  # type: ignore[no-untyped-call]
        sent = sender.notify(title=_TITLE, body=_TEXT)
        told = said.getvalue()
    if sent:
        return Probe(ok=True, lines=[f"{name} took the test."])
    # Apprise tells the status in its log only; nothing else of what it says is passed on.
    status = re.search(r"error[=:]\s*(\d{3})", told)
    if not status:
        return Probe(ok=False, lines=[f"{name} did not take the test: no answer, or its certificate is not trusted."])
    known = int(status[1]) in {one.value for one in HTTPStatus}
    phrase = f" {HTTPStatus(int(status[1])).phrase}" if known else ""
    return Probe(ok=False, lines=[f"{name} answered HTTP {status[1]}{phrase}; the test was not taken."])
