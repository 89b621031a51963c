"""The parts that live as long as the app, made once and bound to it in `create_app`."""

from typing import cast

import redis
from flask import current_app
from flask_bootstrap import Bootstrap5
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager
from flask_sqlalchemy import SQLAlchemy
from flask_wtf import CSRFProtect
from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase
from werkzeug.local import LocalProxy

from config import Settings
from flexdash.vault import Vault


class Base(DeclarativeBase):
    """Base of all models; the naming convention gives every constraint a name that migrations can use."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class Throttle(Limiter):
    """Flask-Limiter, whose fallback while Redis is away holds for every request and not just for the first."""

    def _check_request_limit(self, callable_name: str | None = None, in_middleware: bool = True) -> None:
        try:
            super()._check_request_limit(callable_name, in_middleware)
        except redis.RedisError:
            # It waited for Redis while another request found it away. Flask-Limiter raises then; memory counts by now.
            self.context.seen_limits.clear()
            super()._check_request_limit(callable_name, in_middleware)


db = SQLAlchemy(model_class=Base)
login_manager = LoginManager()
csrf = CSRFProtect()
limiter = Throttle(key_func=get_remote_address)
bootstrap = Bootstrap5()

settings = cast(Settings, LocalProxy(lambda: current_app.config["SETTINGS"]))
redis_client = cast(redis.Redis, LocalProxy(lambda: current_app.extensions["flexdash_redis"]))
vault = cast(Vault, LocalProxy(lambda: current_app.extensions["flexdash_vault"]))
