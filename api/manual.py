"""The manual at /docs: the Markdown pages of the wheel as plain HTML, without any request to another host."""

from functools import cache
from pathlib import Path

from litestar import MediaType, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

import appliance
from api.guards import declared
from appliance.access.permissions import OPEN

PAGES = Path(appliance.__file__).parent / "docs"
_STYLE = """body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; font: 1rem/1.5 system-ui, sans-serif; }
table { border-collapse: collapse; }
th, td { border: 1px solid #999; padding: .3rem .5rem; text-align: left; vertical-align: top; }
code { font-size: .9em; } nav { margin-bottom: 2rem; } a { color: #0072b2; }
@media (prefers-color-scheme: dark) { body { background: #111; color: #eee; } a { color: #56b4e9; } }
"""


@get("/docs", operation_id="listManual", include_in_schema=False, **declared(OPEN))
async def contents() -> Response[str]:
    """The list of pages."""
    listed = "".join(f'<li><a href="/docs/{one}">{title}</a></li>' for one, title in titles().items())
    return _page("Ranvier manual", f"<h1>Ranvier manual</h1><ul>{listed}</ul>")


@get("/docs/{page:str}", operation_id="readManual", include_in_schema=False, **declared(OPEN))
async def read(page: FromPath[str]) -> Response[str]:
    """One page, or the style of all."""
    if page == "style.css":
        return Response(_STYLE, media_type=MediaType.CSS)
    name = page.removesuffix(".md")
    if name not in titles():
        raise NotFoundException("There is no such page; /docs lists those that exist.")
    return _page(titles()[name], _rendered(name))


@cache
def titles() -> dict[str, str]:
    """Page name -> its first heading."""
    found = {}
    for file in sorted(PAGES.glob("*.md")):
        first = next((line for line in file.read_text(encoding="utf-8").splitlines() if line.startswith("# ")), file.stem)
        found[file.stem] = first.removeprefix("# ").strip()
    return found


@cache
def _rendered(name: str) -> str:
    from markdown_it import MarkdownIt

    made: str = (
        MarkdownIt("commonmark", {"html": False}).enable("table").render((PAGES / f"{name}.md").read_text(encoding="utf-8"))
    )
    return made


def _page(title: str, body: str) -> Response[str]:
    head = f'<meta charset="utf-8"><title>{title}</title><link rel="stylesheet" href="/docs/style.css">'
    page = f'<!doctype html><html lang="en"><head>{head}</head><body><nav><a href="/docs">Manual</a></nav>{body}</body></html>'
    return Response(page, media_type=MediaType.HTML)


HANDLERS = (contents, read)
