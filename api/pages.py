"""The few pages that a browser sees on its way through single sign-on: no script, no style, nothing from elsewhere."""

from html import escape

from litestar import MediaType, Response

from api.problems import status_of
from appliance.errors import RanvierError


def page(title: str, *lines: str, links: dict[str, str] | None = None, go_to: str = "", status: int = 200) -> Response[str]:
    """A page of sentences and links; `go_to` is a path of ours that the browser goes on to by itself.

    Going on from our own page lets the browser send the session's cookie, which it keeps back after coming from elsewhere.
    """
    onward = f'<meta http-equiv="refresh" content="0;url={escape(go_to)}">' if go_to else ""
    listed = "".join(f'<p><a href="{escape(path)}">{escape(name)}</a></p>' for name, path in (links or {}).items())
    said = "".join(f"<p>{escape(line)}</p>" for line in lines)
    head = f'<meta charset="utf-8">{onward}<title>{escape(title)}</title>'
    text = f'<!doctype html><html lang="en"><head>{head}</head><body><h1>{escape(title)}</h1>{said}{listed}</body></html>'
    return Response(text, media_type=MediaType.HTML, status_code=status)


def refusal(error: RanvierError) -> Response[str]:
    """Why signing in did not work, for people."""
    links = {"Sign in again": "/api/saml/login"}
    return page("Not signed in", error.what, error.advice, f"({error.code})", links=links, status=status_of(error))
