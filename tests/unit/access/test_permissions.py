import pytest

from appliance.access.permissions import PERMISSIONS, ROLES, NotPermitted, may, require


def test_an_administrator_may_do_everything() -> None:
    assert all(may("admin", permission) for permission in PERMISSIONS)


def test_what_is_not_in_the_table_nobody_may() -> None:
    """UI-08: denied by default."""
    assert not any(may(role, "something-new") for role in ROLES)
    assert not any(may("somebody", permission) for permission in PERMISSIONS)
    assert not may("admin", "open")


def test_a_user_reads_creates_cancels_and_reveals_and_nothing_else() -> None:
    """UI-08."""
    assert {permission for permission in PERMISSIONS if may("user", permission)} == {
        "session",
        "status.read",
        "studies.read",
        "orders.read",
        "results.read",
        "events.read",
        "orders.create",
        "orders.cancel",
        "identity.reveal",
        "identity.lookup",
        "identity.preview",
        "dicomweb.store",
        "dicomweb.read",
        "nodes.find",
        "pulls.read",
        "pulls.create",
        "drops.read",
        "groups.read",
        "groups.write",
        "uploads.write",
        "uploads.read",
    }


def test_an_uploader_has_a_session_and_nothing_of_others() -> None:
    """UI-08, UI-11."""
    assert {permission for permission in PERMISSIONS if may("uploader", permission)} == {"session", "uploads.write"}


def test_a_machine_never_sees_an_identity() -> None:
    assert not may("service", "identity.reveal")
    assert not may("service", "identity.lookup")
    with pytest.raises(NotPermitted):
        require("service", "identity.reveal")
