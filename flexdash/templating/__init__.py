"""What every template can use: filters for times, money and counts, and what a page's frame needs to know."""

from flask import Flask

from flexdash import clock
from flexdash.services import countries
from flexdash.templating.cells import label_cells
from flexdash.templating.filters import count, local_time, money, relative_time, viewer_zone
from flexdash.templating.menu import may, may_open, navigation, work_counts
from flexdash.templating.redis_watch import RedisWatch, redis_is_away
from flexdash.templating.runs import next_try


def init_app(app: Flask) -> None:
    """Give the templates of `app` their filters and globals."""
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.filters.update(
        local_time=local_time,
        relative_time=relative_time,
        money=money,
        count=count,
        label_cells=label_cells,
        country_name=countries.name_of,
    )
    app.jinja_env.globals.update(
        navigation=navigation,
        work_counts=work_counts,
        may=may,
        may_open=may_open,
        redis_is_away=redis_is_away,
        next_try=next_try,
        viewer_zone=viewer_zone,
        now=clock.now,
    )
    settings = app.config["SETTINGS"]
    app.extensions["flexdash_redis_watch"] = RedisWatch(settings.redis_url)
