"""When something last left for a destination."""

from appliance.records.engine import Records

_FOUND_BY = {
    "delivery": "SELECT MAX(sent_at) AS at FROM deliveries WHERE destination = {}",
    "nodes": "SELECT MAX(at) AS at FROM (SELECT MAX(ended_at) AS at FROM pulls WHERE node = {} AND attempt > 0 "
    "UNION ALL SELECT MAX(at) FROM audit WHERE action IN ('node.find', 'node.find-revealed') AND target = 'node/' || {}) used",
    "notify": "SELECT MAX(sent_at) AS at FROM notices WHERE route = {} AND state = 'sent'",
    "audit": "SELECT at FROM audit_sent WHERE destination = {}",
}
"""Section of the settings -> the newest time at which something left for one of its destinations."""


async def last_use(records: Records, section: str, key: str) -> int:
    """When something last left for a destination; 0 where nothing has, or no record tells.

    `key` is the name of a destination or node, the way of a notice, host and port of the syslog server.
    """
    sql = _FOUND_BY.get(section)
    rows = await records.run(sql, *[key] * sql.count("{}")) if sql else []
    return int(rows[0]["at"] or 0) if rows else 0
