"""Anchors of the audit leave the machine: in the log, to syslog, in support bundles, for whoever else asks (UI-10).

An anchor says how far the hash chain went at some moment, signed. Kept where an intruder does not reach, it finds every row
that was later changed, inserted, reordered or cut off up to it (`ranvier audit verify --anchor`).
"""

import logging

from appliance import audit, trail
from appliance.audit import SignedAnchor
from appliance.errors import Misconfigured
from appliance.house import House
from appliance.upkeep import syslog

log = logging.getLogger(__name__)


async def current(house: House, now: int) -> SignedAnchor:
    """The anchor to be sent along now: what heartbeat, backup and support bundle carry."""
    return await audit.anchor(house.keys, now)


async def publish(house: House, now: int) -> SignedAnchor:
    """Writes the anchor into the log and sends it to the syslog server of the settings, if one is named.

    A server that is away keeps nothing from going on; the log says so.
    """
    found = await current(house, now)
    log.info("audit anchor", extra={"code": "audit-anchor", "anchor": found.text})
    section = (await house.settings()).settings.audit
    if section.syslog == "none" or not section.syslog_host:
        return found
    facts: dict[str, str | int] = {"rows": found.rows, "head": found.head, "anchor": found.text}
    message = syslog.line(now, "anchor", facts, f"Audit of {found.rows} rows: {found.text}")
    try:
        await syslog.send(message, section.syslog, section.syslog_host, section.syslog_port, trail.context_of(section))
    except (OSError, TimeoutError, Misconfigured) as away:
        log.warning("the syslog server takes no anchor: %s", type(away).__name__, extra={"code": "syslog-away"})
    return found
