"""The application is put together here: settings, log, database, Redis, keys, and the pages for those who want them."""

import redis
from flask import Flask

from config import Settings, load_settings
from flexdash import database, logs, metrics
from flexdash.extensions import db
from flexdash.vault import Vault


def create_app(settings: Settings | None, *, has_pages: bool) -> Flask:
    """Return the application; see `flexdash.create_app`."""
    settings = settings or load_settings()
    logs.configure(settings)
    app = Flask("flexdash")
    app.config.update(
        SETTINGS=settings,
        TESTING=settings.is_testing,
        SECRET_KEY=settings.secret_key,
        SQLALCHEMY_DATABASE_URI=settings.database_url,
        SQLALCHEMY_ENGINE_OPTIONS=database.engine_options(settings.database_url),
    )
    app.extensions["flexdash_redis"] = redis.Redis.from_url(settings.redis_url, socket_timeout=5)
    app.extensions["flexdash_vault"] = Vault(settings.encryption_keys)
    logs.init_app(app)
    metrics.init_app(app)
    db.init_app(app)
    with app.app_context():
        database.prepare_engine(db.engine)
    if has_pages:
        from flexdash import pages  # a third of all that is imported, and its memory, which workers do without

        pages.init_app(app, settings)
    return app
