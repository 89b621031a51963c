"""Why a message could not be sent."""


class NotDelivered(Exception):
    """A try that failed. `is_final`: trying again would end the same way."""

    def __init__(self, sentence: str, *, is_final: bool = False) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.is_final = is_final
