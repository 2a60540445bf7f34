"""Who may do what: one table, permission -> roles. What is not in it, nobody may.

`user` reads, uploads, creates, cancels their own orders and reveals; `service` is a machine that sends studies and collects
results and never sees an identity; `uploader` uses the upload page and sees nothing that others sent; `admin` may do all
(UI-08).
"""

from typing import Literal, get_args

from appliance.errors import Denied

Role = Literal["admin", "user", "service", "uploader"]
ROLES: tuple[str, ...] = get_args(Role)

OPEN = "open"
"""The permission of what anybody may reach: health, sign-in, the documentation of the API."""

_EVERYBODY = frozenset(ROLES)
_ALL = frozenset({"admin", "user", "service"})
_PEOPLE = frozenset({"admin", "user"})
_ADMIN = frozenset({"admin"})

PERMISSIONS: dict[str, frozenset[str]] = {
    "session": _EVERYBODY,
    "status.read": _ALL,
    "studies.read": _ALL,
    "orders.read": _ALL,
    "results.read": _ALL,
    "events.read": _ALL,
    "metrics.read": frozenset({"admin", "service"}),
    "groups.read": _ALL,
    "groups.write": _PEOPLE,
    "groups.manage": _ADMIN,
    "dicomweb.store": _ALL,
    "dicomweb.read": _PEOPLE,
    "hub.use": frozenset({"admin", "service"}),
    "orders.create": _ALL,
    "orders.cancel": _ALL,
    "orders.cancel-any": _ADMIN,
    "orders.delete": _ADMIN,
    "studies.delete": _ADMIN,
    "identity.reveal": _PEOPLE,
    "identity.lookup": _PEOPLE,
    "identity.preview": _PEOPLE,
    "linking.export": _ADMIN,
    "nodes.find": _PEOPLE,
    "pulls.read": _PEOPLE,
    "pulls.create": _PEOPLE,
    "drops.read": _PEOPLE,
    "uploads.write": _EVERYBODY,
    "uploads.read": _PEOPLE,
    "uploads.manage": _ADMIN,
    "studies.force-stable": _ADMIN,
    "studies.release": _ADMIN,
    "orders.metadata": _ADMIN,
    "orders.bypass": _ADMIN,
    "orders.repair": _ADMIN,
    "orders.retry": _ADMIN,
    "orders.priority": _ADMIN,
    "orders.support": _ADMIN,
    "deliveries.resend": _ADMIN,
    "deliveries.test": _ADMIN,
    "settings.read": _ADMIN,
    "settings.write": _ADMIN,
    "notices.read": _ADMIN,
    "audit.read": _ADMIN,
    "logs.read": _ADMIN,
    "data-flow.read": _ADMIN,
    "users.read": _ADMIN,
    "users.write": _ADMIN,
    "tokens.write": _ADMIN,
}


class NotSignedIn(Denied):
    """You are not signed in, or your session has ended."""

    code = "not-signed-in"
    next_step = "Sign in again."


class NotPermitted(Denied):
    """Your role does not allow this ({permission})."""

    code = "not-permitted"
    next_step = "Ask an administrator."


def may(role: str, permission: str) -> bool:
    """Whether a role has a permission; unknown roles and unknown permissions have none."""
    return role in PERMISSIONS.get(permission, frozenset())


def require(role: str, permission: str) -> None:
    """Raise `NotPermitted` unless the role has the permission."""
    if not may(role, permission):
        raise NotPermitted(permission=permission)
