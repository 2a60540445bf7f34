"""When something last left for a destination."""

from appliance.records.engine import Records


async def of_destinations(records: Records, names: list[str]) -> dict[str, int]:
    """Name -> the moment of its last delivery that succeeded; those without one are left out."""
    found = {}
    for name in names:
        rows = await records.run(
            "SELECT sent_at FROM deliveries WHERE destination = {} AND sent_at IS NOT NULL ORDER BY sent_at DESC LIMIT 1", name
        )
        if rows:
            found[name] = int(rows[0]["sent_at"])
    return found
