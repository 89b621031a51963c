"""What services raise when they refuse: sentences a person can read."""


class ServiceError(Exception):
    """A refusal. `sentence` says what happened, what it means and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class AccessRefused(Exception):
    """Not a ServiceError: no page answers it with words of its own; flexdash.errors makes it 404 or 403 everywhere."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


class NotVisible(AccessRefused):
    """No such thing in this workspace, or not for this person: the page answers 404 either way."""

    def __init__(self, what: str = "page") -> None:
        super().__init__(f"There is no such {what} in your workspace.")


class NotAllowed(AccessRefused):
    """The person's role does not include this."""


class ChangedMeanwhile(ServiceError):
    """Someone else changed the same thing after the form was opened."""


class FieldRefused(ServiceError):
    """One field of a form holds something that cannot be; the form shows the sentence beside that field."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field
