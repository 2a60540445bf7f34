"""How often one address may try something: a bucket of tokens that fills again with time."""

from collections import OrderedDict

from api.problems import TooManyRequests

_MOST = 5000


class Bucket:
    """`size` tries at once, one more every `every_ms`; forgets the address that was longest quiet."""

    def __init__(self, size: int, every_ms: int) -> None:
        self._size = size
        self._every_ms = every_ms
        self._full_at: OrderedDict[str, int] = OrderedDict()

    def take(self, address: str, now: int) -> None:
        """One try; raises `TooManyRequests` with the seconds to wait when there is none left."""
        full_at = max(self._full_at.get(address, now), now) + self._every_ms
        wait = full_at - now - self._size * self._every_ms
        if wait > 0:
            raise TooManyRequests(retry_after_s=(wait + 999) // 1000)
        self._full_at[address] = full_at
        self._full_at.move_to_end(address)
        if len(self._full_at) > _MOST:
            self._full_at.popitem(last=False)
