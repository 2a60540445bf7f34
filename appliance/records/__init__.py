"""The records: Piccolo tables, queries named by intent, migrations, and the engine below them."""
