"""What every HTML page of the app is answered with: no scripts, in no frame, nothing from or to elsewhere."""

from functions.routing import Answer

_HARDENED = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page(html: str, status: int = 200) -> Answer:
    """The answer that shows this page."""
    return Answer(html.encode(), status, headers={"Content-Type": "text/html; charset=utf-8"} | _HARDENED)
