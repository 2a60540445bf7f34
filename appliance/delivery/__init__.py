"""Delivery: one report to one destination, one file a protocol."""
