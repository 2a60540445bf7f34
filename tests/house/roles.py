"""The page of roles: every permission, who has it, and the routes that it guards."""

import re

from api.routes import HANDLERS
from appliance.access.permissions import OPEN, PERMISSIONS, ROLES

INTRODUCTION = """# Roles

What is not in this table nobody may do. Each route declares one permission; the appliance does not start with a route that
declares none. `user` cancels orders of their own, `admin` everybody's. `service` is for machines and never sees an identity;
`uploader` is for the upload page. An API token has a role, and may be narrowed to some of its permissions.
"""


def page() -> str:
    """The page in Markdown."""
    routes: dict[str, set[str]] = {}
    for handler in HANDLERS:
        for path in handler.paths:
            shown = re.sub(r":[a-z]+}", "}", path)
            names = {f"`{method} {shown}`" for method in handler.http_methods}
            routes.setdefault(str(handler.opt["permission"]), set()).update(names)
    head = ("permission", *ROLES, "routes")
    rows = [
        (f"`{name}`", *("yes" if role in roles else "" for role in ROLES), ", ".join(sorted(routes.get(name, ()))))
        for name, roles in PERMISSIONS.items()
    ]
    lines = [head, ("---",) * len(head), *rows]
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return f"{INTRODUCTION}\n{table}\n\nOpen to everybody: {', '.join(sorted(routes[OPEN]))}."
