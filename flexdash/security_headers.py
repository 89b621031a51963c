"""Response headers that keep a page from running or leaking anything it should not."""

from flask import Flask, Response, g

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data:",  # Bootstrap draws its form marks as data: images
    "font-src": "'self'",
    "connect-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}


def allow_form_target(origin: str) -> None:
    """Let forms of this one response end at `origin`: browsers hold the redirect after a POST against form-action."""
    g.csp_form_target = origin


def init_app(app: Flask) -> None:
    """Add the headers to every response of `app`."""

    @app.after_request
    def _add(response: Response) -> Response:
        policy = dict(POLICY)
        if target := g.get("csp_form_target"):
            policy["form-action"] += f" {target}"
        response.headers.setdefault("Content-Security-Policy", "; ".join(f"{k} {v}" for k, v in policy.items()))
        response.headers.setdefault("X-Content-Type-Options", "nosniff")
        response.headers.setdefault("Referrer-Policy", "no-referrer")
        response.headers.setdefault("X-Frame-Options", "DENY")
        response.headers.setdefault("Cross-Origin-Opener-Policy", "same-origin")
        response.headers.setdefault("Permissions-Policy", "camera=(), geolocation=(), microphone=()")
        if app.config["SETTINGS"].is_production:
            response.headers.setdefault("Strict-Transport-Security", "max-age=31536000")
        # Downloads too: there are caches that keep whatever is called .csv. Static files bring a header of their own.
        response.headers.setdefault("Cache-Control", "no-store")
        return response
