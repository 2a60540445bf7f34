"""The page of the manual that publishes the JSON Schema of reports."""

import msgspec

from appliance.reports import as_json


def page() -> str:
    """The schema with what a program that reads reports must know."""
    schema = msgspec.json.format(msgspec.json.encode(as_json.schema()), indent=2).decode()
    return f"""# The JSON of a report

Version `ranvier-report/1`, told in the field `schema` of each file. Within a version fields are added and never taken away or
given another meaning: a reader leaves alone what it does not know. A number that cannot be computed is `null`. The XML of a
report has the same names in the namespace `urn:ranvier:report:1`. [Reports](reports.md) says what stands in each format.

```json
{schema}
```
"""
