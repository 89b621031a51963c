"""The names of people and of sellers."""

from flexdash.services.errors import FieldRefused
from flexdash.services.words import one_line

MAX_LENGTH = 100


def checked(name: str) -> str:
    """Return the name as it is kept, without spare spaces; raise FieldRefused for `name` when it cannot be one."""
    name = one_line(name)
    if not name or len(name) > MAX_LENGTH:
        raise FieldRefused("name", f"Give a name of 1 to {MAX_LENGTH} characters.")
    return name
