"""The hub over HTTP: the cloud's own protocols, served under /cloud."""

from api.cloud_routes import sdk

HANDLERS = (sdk.ROUTER,)
