"""What a page says about the held orders that a change of stock let go."""

from flexdash.templating import count

AT_MOST = 1_000  # held orders looked at while a person waits, the oldest first; the next pull looks at the rest


def released_words(n_released: int) -> str:
    """Return the sentence that follows the change, beginning with a blank; "" when no order was let go."""
    if not n_released:
        return ""
    became = "became a New Order" if n_released == 1 else "became New Orders"
    return f" {count(n_released, 'order')} On Hold {became}; Amazon is told with the next Order Sync."
