"""How many decimals amounts of a currency have."""

_WITHOUT_DECIMALS = {"JPY", "KRW", "CLP", "VND"}


def decimals_of(currency: str) -> int:
    """Return how many decimals an amount of `currency` has; two where it is not known."""
    return 0 if currency in _WITHOUT_DECIMALS else 2
