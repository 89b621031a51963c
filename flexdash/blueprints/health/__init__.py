"""Whether FlexDash is up, and whether all of its parts work together; for load balancers and for `make run`."""

from flexdash.blueprints.health.routes import blueprint

__all__ = ["blueprint"]
