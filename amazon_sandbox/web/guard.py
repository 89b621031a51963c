"""Who may use the control pages and calls: this machine only, and no page of another origin."""

import ipaddress
from urllib.parse import urlsplit

from flask import Response, request

from amazon_sandbox.config import LOOPBACK_NAMES

WRITING = ("POST", "PUT", "PATCH", "DELETE")
SAFE_SITES = (None, "same-origin", "none")


def refuse_other_origins() -> Response | None:
    """403 for a writing request that a browser sends on behalf of another site's page."""
    if request.method not in WRITING:
        return None
    origin = request.headers.get("Origin")
    is_own = origin is None or origin == request.host_url.rstrip("/")
    if is_own and request.headers.get("Sec-Fetch-Site") in SAFE_SITES:
        return None
    return _refused("The request comes from a page of another site. Use the sandbox's own pages.")


def refuse_other_machines() -> Response | None:
    """403 unless the request is made from this machine to one of its loopback names (no DNS rebinding)."""
    is_here = ipaddress.ip_address(request.remote_addr or "0.0.0.0").is_loopback  # noqa: S104 - means: unknown
    if is_here and urlsplit(request.host_url).hostname in LOOPBACK_NAMES:
        return None
    return _refused("The sandbox is controlled from its own machine only, by the name 127.0.0.1 or localhost.")


def _refused(why: str) -> Response:
    return Response(f"{why}\n", 403, mimetype="text/plain")
