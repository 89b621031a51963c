"""Switches of the sandbox as a whole, kept across restarts."""

from dataclasses import asdict, dataclass
from typing import Any

LABEL_FORMATS = ("PDF", "PNG", "ZPL")
PAGINGS = ("stable", "offset")
SEQUENCES = ("newer", "echo")


@dataclass
class Options:
    """`latency_ms` is waited before every answer. `paging` `stable` continues after the last shipment seen;
    `offset` counts, so that shipments changed meanwhile make others slip by. `inventory_sequence` `newer` takes
    higher numbers only; `echo` demands the number last answered. An accepted price shows after
    `listing_delay_seconds`; a feed is in the queue for `feed_seconds` and at work as long again."""

    latency_ms: int = 0
    label_format: str = "PDF"
    has_shipping_options: bool = False
    app_is_draft: bool = False
    paging: str = "stable"
    inventory_sequence: str = "newer"
    access_token_seconds: int = 3600
    clock_shift_seconds: float = 0.0
    listing_delay_seconds: float = 2.0
    feed_seconds: float = 5.0

    def change(self, changes: dict[str, Any]) -> None:
        """Sets the named options. ValueError names the one that is unknown or out of range."""
        for name, value in changes.items():
            if name not in asdict(self):
                raise ValueError(f"unknown option {name!r}; known are {', '.join(asdict(self))}")
            self._check(name, value)
        for name, value in changes.items():
            setattr(self, name, float(value) if isinstance(getattr(self, name), float) else value)

    def _check(self, name: str, value: Any) -> None:
        kind = type(getattr(self, name))
        is_right = isinstance(value, bool) is (kind is bool)
        if not is_right or not isinstance(value, (int, float) if kind is float else kind):
            raise ValueError(f"{name} must be of type {kind.__name__}")
        choices = {"label_format": LABEL_FORMATS, "paging": PAGINGS, "inventory_sequence": SEQUENCES}.get(name)
        if choices and value not in choices:
            raise ValueError(f"{name} must be one of {', '.join(choices)}")
        if name == "latency_ms" and not 0 <= value <= 60_000:
            raise ValueError("latency_ms must be from 0 to 60000")
        if name == "access_token_seconds" and not 1 <= value <= 86_400:
            raise ValueError("access_token_seconds must be from 1 to 86400")
        if name in ("listing_delay_seconds", "feed_seconds") and not 0 <= value <= 86_400:
            raise ValueError(f"{name} must be from 0 to 86400")
