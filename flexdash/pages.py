"""What makes an application one with pages: sessions, sign-in, forms, templates, error pages and every blueprint."""

from flask import Flask
from flask_migrate import Migrate
from werkzeug.middleware.proxy_fix import ProxyFix

from config import Settings
from flexdash import blueprints, errors, request_checks, security_headers, static_files, templating
from flexdash.extensions import bootstrap, csrf, db, limiter, login_manager


def init_app(app: Flask, settings: Settings) -> None:
    """Give `app` its pages."""
    is_https = settings.public_url.startswith("https://")
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_body_bytes,
        # Browsers take a __Host- cookie from this very host over https only: nobody can plant one from beside it.
        SESSION_COOKIE_NAME="__Host-session" if is_https else "session",
        SESSION_COOKIE_SECURE=is_https,
        SESSION_COOKIE_HTTPONLY=True,
        # Lax: Amazon's return to the callback is a top-level GET and must carry the cookie.
        SESSION_COOKIE_SAMESITE="Lax",
        BOOTSTRAP_SERVE_LOCAL=True,
        RATELIMIT_STORAGE_URI=settings.redis_url.replace("unix://", "redis+unix://", 1),
        # A Redis that takes connections and never answers must not keep every web thread for good.
        RATELIMIT_STORAGE_OPTIONS={"socket_timeout": 1, "socket_connect_timeout": 1, "retry": None},
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True,  # Redis away: the throttle counts per process, nobody is locked out
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session lives: a form left open over lunch must still work
        WTF_CSRF_SSL_STRICT=False,  # it asks for a Referer, which our own Referrer-Policy keeps browsers from sending
    )
    if settings.trusted_proxies:
        n = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=n, x_proto=n, x_host=n)  # type: ignore[method-assign]
    request_checks.init_app(app)
    for extension in (login_manager, csrf, limiter, bootstrap):
        extension.init_app(app)
    Migrate(app, db)  # readiness looks for missing migrations; workers do without Alembic, a tenth of what they import
    security_headers.init_app(app)
    static_files.init_app(app)
    templating.init_app(app)
    errors.init_app(app)
    blueprints.register(app)
