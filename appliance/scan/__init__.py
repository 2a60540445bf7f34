"""Scan: the malware scanner (clamd)."""
