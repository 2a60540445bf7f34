"""Calls back of a PACS that was asked to keep a report: what it promises reaches the delivery that waits for it."""

import asyncio
import logging
from collections.abc import Callable

from appliance.promises import Promise
from appliance.records import deliveries
from appliance.records.engine import Records

log = logging.getLogger(__name__)

SUCCESS, NO_SUCH_INSTANCE = 0x0000, 0x0112
"""Answers to N-EVENT-REPORT (PS3.7 section 10.1.1.1.8)."""
_KEEPING_SECONDS = 20.0
Promising = Callable[[str, Promise], int]


class Promises:
    """Takes results from the listener's threads. Who knows the Transaction UID was asked: it is drawn by lot."""

    def __init__(self, records: Records, *, clock: Callable[[], int]) -> None:
        self._records = records
        self._clock = clock
        self._loop = asyncio.get_running_loop()

    def take(self, sender: str, promise: Promise) -> int:
        """From any thread: stores a result durably and gives the status of the answer; raises what the database raised."""
        known = asyncio.run_coroutine_threadsafe(self._keep(promise), self._loop).result(_KEEPING_SECONDS)
        words = "is known" if known else "belongs to no delivery that waits"
        log.info("%s reports a storage commitment that %s", sender, words, extra={"sender": sender})
        return SUCCESS if known else NO_SUCH_INSTANCE

    async def _keep(self, promise: Promise) -> bool:
        return await deliveries.promised(self._records, promise.transaction, promise.instances, now=self._clock())
