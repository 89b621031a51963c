"""Turning the database's word that something exists already into the sentence beside the field."""

from sqlalchemy.exc import IntegrityError

from flexdash.extensions import db
from flexdash.services.errors import FieldRefused


def flush_or_refuse(field: str, sentence: str) -> None:
    """Write the pending changes now; raise FieldRefused with `sentence` when a unique constraint stands against them.

    Two people can save the same name at the same moment: both passed the check before, the database decides. Call it
    inside the transaction, with nothing else pending than the row in question.
    """
    try:
        db.session.flush()
    except IntegrityError as error:
        raise FieldRefused(field, sentence) from error
