"""The routes, one file a noun."""

from api.routes import (
    audit,
    deletion,
    deliveries,
    events,
    health,
    orders,
    processing,
    reports,
    results,
    reveal,
    second_factor,
    session,
    settings,
    settings_files,
    status,
    studies,
    tokens,
    users,
)

HANDLERS = (
    *health.HANDLERS,
    *session.HANDLERS,
    *second_factor.HANDLERS,
    *status.HANDLERS,
    *studies.HANDLERS,
    *reveal.HANDLERS,
    *orders.HANDLERS,
    *processing.HANDLERS,
    *reports.HANDLERS,
    *results.HANDLERS,
    *deliveries.HANDLERS,
    *deletion.HANDLERS,
    *events.HANDLERS,
    *settings.HANDLERS,
    *settings_files.HANDLERS,
    *audit.HANDLERS,
    *users.HANDLERS,
    *tokens.HANDLERS,
)
"""Every handler of the API."""
