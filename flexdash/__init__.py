"""FlexDash: keeps an Amazon Seller Flex store and a merchant's order management in step."""

import redis
from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from config import Settings, load_settings
from flexdash import blueprints, database, errors, logs, request_checks, security_headers, templating
from flexdash.extensions import bootstrap, csrf, db, limiter, login_manager, migrate
from flexdash.vault import Vault


def create_app(settings: Settings | None = None) -> Flask:
    """Return the application, set up from `settings` (by default those of the environment).

    Raises config.SettingsError naming every setting that is missing or wrong.
    """
    settings = settings or load_settings()
    logs.configure(settings)
    is_https = settings.public_url.startswith("https://")
    app = Flask(__name__)
    app.config.update(
        SETTINGS=settings,
        TESTING=settings.is_testing,
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=database.engine_options(settings.database_url),
        MAX_CONTENT_LENGTH=settings.max_body_bytes,
        # Browsers take a __Host- cookie from this very host over https only: nobody can plant one from beside it.
        SESSION_COOKIE_NAME="__Host-session" if is_https else "session",
        SESSION_COOKIE_SECURE=is_https,
        SESSION_COOKIE_HTTPONLY=True,
        # Lax: Amazon's return to the callback is a top-level GET and must carry the cookie.
        SESSION_COOKIE_SAMESITE="Lax",
        BOOTSTRAP_SERVE_LOCAL=True,
        RATELIMIT_STORAGE_URI=settings.redis_url.replace("unix://", "redis+unix://", 1),
        RATELIMIT_IN_MEMORY_FALLBACK_ENABLED=True,  # Redis away: the throttle counts per process, nobody is locked out
        WTF_CSRF_TIME_LIMIT=None,  # as long as the session lives: a form left open over lunch must still work
        WTF_CSRF_SSL_STRICT=False,  # it asks for a Referer, which our own Referrer-Policy keeps browsers from sending
    )
    if settings.trusted_proxies:
        n = settings.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=n, x_proto=n, x_host=n)  # type: ignore[method-assign]

    app.extensions["flexdash_redis"] = redis.Redis.from_url(settings.redis_url, socket_timeout=5)
    app.extensions["flexdash_vault"] = Vault(settings.encryption_keys)
    logs.init_app(app)
    db.init_app(app)
    with app.app_context():
        database.prepare_engine(db.engine)
    migrate.init_app(app, db)
    request_checks.init_app(app)
    for extension in (login_manager, csrf, limiter, bootstrap):
        extension.init_app(app)
    security_headers.init_app(app)
    templating.init_app(app)
    errors.init_app(app)
    blueprints.register(app)
    return app
