"""Words the pages of uploads use."""

from flexdash.models import RowOutcome, StockMode, Upload, UploadKind, UploadState

KIND_WORDS = {UploadKind.CATALOG: "Catalog", UploadKind.PRICES: "Prices", UploadKind.STOCK: "Stock"}
# State: words, the badge's kind and icon.
STATE_WORDS = {
    UploadState.RECEIVED: ("Waiting to be checked", "quiet", "clock"),
    UploadState.CHECKING: ("Checking", "info", "sync"),
    UploadState.CHECKED: ("Waiting for a decision", "warn", "pause"),
    UploadState.ACCEPTED: ("Waiting to be applied", "quiet", "clock"),
    UploadState.APPLYING: ("Applying", "info", "sync"),
    UploadState.APPLIED: ("Applied", "good", "check"),
    UploadState.REFUSED: ("Cannot be used", "bad", "danger"),
    UploadState.FAILED: ("Failed", "bad", "danger"),
    UploadState.DISCARDED: ("Put aside", "quiet", "skip"),
}
MODE_WORDS = {StockMode.SET: "Set what is on hand", StockMode.ADD: "Add to what is on hand"}
OUTCOME_WORDS = {
    RowOutcome.BIG_CHANGE: "Prices that change by more than 30 %",
    RowOutcome.CHANGED: "Changed",
    RowOutcome.NEW: "New",
    RowOutcome.UNCHANGED: "Unchanged",
}
LIVE = (UploadState.RECEIVED, UploadState.CHECKING, UploadState.ACCEPTED, UploadState.APPLYING)


def percent_of(upload: Upload) -> int:
    """Return how far the worker is with the present step, from 0 to 100."""
    if upload.state in (UploadState.ACCEPTED, UploadState.APPLYING):
        done, whole = upload.n_applied, upload.n_rows
    else:
        done, whole = upload.n_bytes_read, upload.n_bytes
    return min(100, done * 100 // whole) if whole else 0


def size_words(n_bytes: int) -> str:
    """Return a size as a person says it: "512 bytes", "12 KB", "85.6 MB"."""
    if n_bytes < 1024:
        return "1 byte" if n_bytes == 1 else f"{n_bytes} bytes"
    if n_bytes < 1024 * 1024:
        return f"{n_bytes // 1024} KB"
    return f"{n_bytes / 1024 / 1024:.1f} MB"
