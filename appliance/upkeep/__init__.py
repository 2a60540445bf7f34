"""Upkeep: what keeps the appliance fit: cadence, retention, heartbeat."""
