"""The edge of the process towards a peer that stores: whatever goes wrong, it is not told that its instance is safe."""

import logging
from collections.abc import Callable

from appliance.receive.part10 import NotPart10
from appliance.receive.statuses import CANNOT_UNDERSTAND, OUT_OF_RESOURCES, PROCESSING_FAILURE, SUCCESS
from appliance.storage import OutOfSpace

log = logging.getLogger(__name__)


def status_after(work: Callable[[], int | None], *, low_disk: Callable[[], None]) -> int:
    """Does a part of storing and gives the C-STORE status that follows (PS3.4 table B.2-1); raises nothing.

    `work` gives a status, or nothing for success; `low_disk` is told when there was no space.
    """
    try:
        return work() or SUCCESS
    except OutOfSpace:
        low_disk()
        return OUT_OF_RESOURCES
    except NotPart10:
        return CANNOT_UNDERSTAND
    except Exception as fault:
        log.error("an instance was refused: %s", type(fault).__name__, exc_info=fault, extra={"code": "store-failed"})
        return PROCESSING_FAILURE
