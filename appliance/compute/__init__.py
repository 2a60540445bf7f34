"""Compute: where a stage runs."""
