"""Refusing a form that was made before somebody else changed the same thing."""

from flexdash.models import ConfigEvent
from flexdash.services.actors import Actor
from flexdash.services.errors import ChangedMeanwhile


class ChangedByOther(ChangedMeanwhile):
    """A form made from an older state. `event` is the change that came between, when the log names one."""

    def __init__(self, sentence: str, event: ConfigEvent | None) -> None:
        super().__init__(sentence)
        self.event = event


def changed_by_other(actor: Actor, event: ConfigEvent | None) -> ChangedByOther:
    """Return the refusal for `actor`: who did what meanwhile, and that nothing of theirs was saved."""
    if event is None:
        cause = "This was changed while the page was open."
    elif event.actor_id is not None and event.actor_id == actor.user_id:
        cause = f"You changed this yourself since the page was opened, perhaps in another window: {event.sentence}."
    else:
        cause = f"This was changed while the page was open: {event.sentence}."
    return ChangedByOther(
        f"{cause} Nothing of yours was saved. The page shows how it is now; save again if you still want your change.",
        event,
    )
