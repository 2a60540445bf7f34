"""The front door: a Litestar app around an open house."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from litestar import Litestar
from litestar.datastructures import State
from litestar.di import Provide
from litestar.exceptions import HTTPException
from litestar.types import ControllerRouterHandler

from api import cloud_routes, documentation, doorstep, headers, manual, problems
from api.cloud_routes.sdk import Counter
from api.conditional import conditional
from api.guards import Recognition, check_routes, guard
from api.limits import Bucket
from api.presented import Presented
from api.routes import HANDLERS
from api.stream import Feed
from api.visit import provide_visit
from appliance.access.lockout import Strangers
from appliance.errors import RanvierError
from appliance.house import House
from appliance.receive.posted import Postbox
from appliance.service_account import CloudTries

BODY_BYTES = 1_000_000
SIGN_INS_AT_ONCE = 20
SIGN_IN_EVERY_MS = 3_000
CODES_AT_ONCE = 10
CODE_EVERY_MS = 6_000
CALLS_AT_ONCE = 1000
CALL_EVERY_MS = 20


def create_app(house: House, *, more: Sequence[ControllerRouterHandler] = ()) -> Litestar:
    """The app; raises `UndeclaredPermission` when a route declares none. `more` are further handlers (tests)."""
    presented = Presented(house)
    postbox = Postbox(house.storage, house.keys, house.records)
    feed = Feed(gaps=not house.records.on_sqlite)

    @asynccontextmanager
    async def lifespan(_app: Litestar) -> AsyncIterator[None]:
        async with feed.running():
            yield
        await app.state.host.close()
        await postbox.close()

    app = Litestar(
        route_handlers=[*HANDLERS, *cloud_routes.HANDLERS, *documentation.HANDLERS, *manual.HANDLERS, *more],
        state=State(
            {
                "house": house,
                "feed": feed,
                "presented": presented,
                "postbox": postbox,
                "host": Counter(house),
                "strangers": Strangers(),
                "cloud_tries": CloudTries(),
                "sign_ins": sign_in_bucket(),
                "saml_answers": Bucket(SIGN_INS_AT_ONCE, SIGN_IN_EVERY_MS),
                "code_tries": Bucket(CODES_AT_ONCE, CODE_EVERY_MS),
                "calls": Bucket(CALLS_AT_ONCE, CALL_EVERY_MS),
            }
        ),
        dependencies={"visit": Provide(provide_visit)},
        guards=[guard],
        middleware=[Recognition],
        before_send=[headers.before_send],
        exception_handlers={
            RanvierError: problems.of_house,
            HTTPException: problems.of_http,
            Exception: problems.unforeseen,
        },
        lifespan=[lifespan],
        openapi_config=documentation.openapi_config(),
        request_max_body_size=BODY_BYTES,
        logging_config=None,
    )
    app.asgi_handler = doorstep.in_pieces(
        doorstep.check_host(headers.number_requests(conditional(app.asgi_handler)), presented)
    )
    check_routes(app)
    documentation.complete(app)
    return app


def sign_in_bucket() -> Bucket:
    """How often one address may try to sign in: twenty at once, then one every three seconds."""
    return Bucket(SIGN_INS_AT_ONCE, SIGN_IN_EVERY_MS)
