"""Receiving: from an association, an upload or a folder to a stable study."""
