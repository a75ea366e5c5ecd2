"""What every HTML page of the app is answered with: no scripts, nothing from elsewhere, in no frame."""

from functions.routing import Answer

_HARDENED = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def page(html: str) -> Answer:
    """The answer that shows this page."""
    return Answer(html.encode(), headers={"Content-Type": "text/html; charset=utf-8"} | _HARDENED)
