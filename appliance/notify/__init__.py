"""Notify: which events go to whom."""
