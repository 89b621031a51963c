"""Whether FlexDash is up, whether all of its parts work together, and the figures of what it does."""

from flexdash.blueprints.health import metrics  # noqa: F401 - its view belongs to the blueprint
from flexdash.blueprints.health.routes import blueprint

__all__ = ["blueprint"]
