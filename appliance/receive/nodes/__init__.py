"""PACS nodes as their client: find studies, pull them, and ask whether what came is all there is."""
