"""The plain way in: one file for each instance, synced with its folder before anybody is told that it is safe."""

import logging
from collections.abc import Callable
from typing import Protocol

from appliance.moments import new_id
from appliance.receive import header as tags
from appliance.receive.header import Header, read_header
from appliance.receive.inbox import Arrival, Inbox, content_hash
from appliance.receive.part10 import Origin
from appliance.receive.safely import status_after
from appliance.receive.statuses import SUCCESS, status_against

log = logging.getLogger(__name__)


class Notices(Protocol):
    """Who is told of what is durable, and of what was refused for want of space."""

    def arrived(self, arrival: Arrival) -> None:
        """An instance is on disk in a file of its own and may be acknowledged."""

    def low_disk(self) -> None:
        """An instance was refused because the disk is full."""


def keep(
    inbox: Inbox, notices: Notices, origin: Origin, data: bytes, *, association: str = "", clock: Callable[[], int]
) -> int:
    """Puts an instance on disk as it came and gives the C-STORE status to answer (PS3.4 table B.2-1); raises nothing."""

    def work() -> int:
        header = read_header(data, origin.transfer_syntax)
        status = status_of(origin, header)
        if status != SUCCESS:
            log.warning("an instance of %s was refused with 0x%04X", origin.sender, status, extra={"sender": origin.sender})
            return status
        received_at = clock()
        instance = new_id(received_at)
        arrival = Arrival(
            id=instance,
            path=inbox.keep(origin, data, instance),
            origin=origin,
            header=header,
            content_hash=content_hash(data),
            bytes=len(data),
            received_at=received_at,
            association=association,
        )
        notices.arrived(arrival)
        return SUCCESS

    return status_after(work, low_disk=notices.low_disk)


def status_of(origin: Origin, header: Header) -> int:
    """What a C-STORE of this command set and this head of a data set is answered, disk permitting."""
    found = header.uid(tags.SOP_CLASS), header.uid(tags.SOP_INSTANCE)
    return status_against((origin.sop_class, origin.sop_instance), found)
