"""Forms of the pages of uploads."""

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask_wtf import FlaskForm
from flask_wtf.file import FileField
from wtforms import BooleanField, RadioField, SelectField, StringField

from flexdash.blueprints.fields import DaysMixin, SortMixin, choices, chosen
from flexdash.blueprints.uploads.words import KIND_WORDS, MODE_WORDS, STATE_WORDS
from flexdash.models import Seller, StockMode, Store, Upload, UploadKind, UploadState
from flexdash.services.errors import FieldRefused
from flexdash.services.uploads.encodings import ENCODINGS
from flexdash.services.uploads.history import Filters
from flexdash.services.uploads.records import DELIMITERS

_YEARS = range(2000, 2200)


class _Refusing(FlaskForm):
    def show(self, refusal: FieldRefused) -> None:
        """Put the refusal beside its field."""
        field = self[refusal.field] if refusal.field in self else next(iter(self))
        field.errors = [*field.errors, refusal.sentence]


class FileForm(_Refusing):
    """A file to hand in; for stock, what its quantities mean."""

    file = FileField("CSV file")
    stock_mode = RadioField(
        "What the quantities mean",
        default=StockMode.SET.value,
        choices=choices(*((mode.value, words) for mode, words in MODE_WORDS.items())),
    )

    def __init__(self, kind: UploadKind) -> None:
        super().__init__()
        if kind is not UploadKind.STOCK:
            del self.stock_mode


class ReadingForm(_Refusing):
    """How a file is to be read."""

    encoding = SelectField("Encoding", choices=choices(*ENCODINGS.items()))
    delimiter = SelectField(
        "Delimiter", choices=choices(("", "Find it"), *((mark, words) for mark, words in DELIMITERS.items()))
    )

    @classmethod
    def of(cls, upload: Upload, likely: str = "") -> "ReadingForm":
        """Return the form, filled with how the file was read; where that was not found, with a `likely` encoding."""
        return cls(formdata=None, encoding=upload.encoding or likely or "utf-8", delimiter=upload.delimiter)


class ApplyForm(_Refusing):
    """The boxes to tick before a file is applied, and why if the person wants to say.

    A box that this file does not need is left out.
    """

    is_big_confirmed = BooleanField("These prices are meant")
    is_another_delivery = BooleanField("This is another delivery: add its quantities once more")
    reason = StringField("Reason")

    def __init__(self, upload: Upload, needs_consent: bool, **options: Any) -> None:
        super().__init__(**options)
        if not upload.n_big_changes:
            del self.is_big_confirmed
        if not needs_consent:
            del self.is_another_delivery

    def says(self, name: str) -> bool:
        """Say whether the box called `name` is ticked."""
        return name in self and bool(self[name].data)


class FilterForm(DaysMixin, SortMixin, FlaskForm):
    """What the list of uploads is narrowed to; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    kind = SelectField(
        "Kind", default="", choices=choices(("", "All kinds"), *((kind.value, w) for kind, w in KIND_WORDS.items()))
    )
    state = SelectField(
        "State", default="", choices=choices(("", "All states"), *((s.value, w[0]) for s, w in STATE_WORDS.items()))
    )
    store = SelectField("Store", default="")
    seller = SelectField("Seller", default="")
    person = SelectField("Uploaded by", default="")

    def __init__(
        self, args: Any, stores: Iterable[Store], sellers: Iterable[Seller], people: Iterable[tuple[int, str]]
    ) -> None:
        super().__init__(args)
        self.store.choices = choices(("", "All stores"), *((str(store.id), store.name) for store in stores))
        self.seller.choices = choices(("", "All sellers"), *((str(seller.id), seller.name) for seller in sellers))
        self.person.choices = choices(("", "Everybody"), *((str(user_id), name) for user_id, name in people))
        self.validate()

    def filters(self, zone: ZoneInfo) -> Filters:
        """Return what was chosen, days as the viewer's `zone` has them; what is none of the choices narrows nothing."""
        return Filters(
            kind=UploadKind(kind) if (kind := chosen(self.kind)) else None,
            state=UploadState(state) if (state := chosen(self.state)) else None,
            store_id=int(store) if (store := chosen(self.store)) else None,
            seller_id=int(seller) if (seller := chosen(self.seller)) else None,
            person_id=int(person) if (person := chosen(self.person)) else None,
            since=_midnight(self.first_day.data, zone),
            until=_midnight(self.last_day.data, zone, plus_days=1),
        )


def _midnight(day: date | None, zone: ZoneInfo, plus_days: int = 0) -> datetime | None:
    if day is None or day.year not in _YEARS:
        return None
    return datetime.combine(day + timedelta(days=plus_days), time.min, zone)
