"""Hearing that a caller left before the answer, so that nobody works for it any more."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from litestar import Request


@asynccontextmanager
async def when_left(request: Request[Any, Any, Any], do: Callable[[], object]) -> AsyncIterator[None]:
    """Calls `do` as soon as the caller closes the connection within the block; the body must have been read before."""

    async def watch() -> None:
        # Behind the body nothing else comes than the end of the connection (ASGI HTTP 2.4, "Disconnect").
        while (await request.receive())["type"] != "http.disconnect":
            continue
        do()

    watching = asyncio.create_task(watch())
    try:
        yield
    finally:
        watching.cancel()
