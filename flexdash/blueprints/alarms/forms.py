"""Forms of the alarm pages: what the list is narrowed to, and who is told."""

from collections.abc import Iterable
from typing import Any

from flask_wtf import FlaskForm
from wtforms import (
    BooleanField,
    HiddenField,
    RadioField,
    SelectField,
    SelectMultipleField,
    StringField,
    TextAreaField,
)
from wtforms.widgets import CheckboxInput, ListWidget

from flexdash.blueprints.fields import NEWEST_FIRST, OLDEST_FIRST, SortMixin, StoreMixin, checked_by, choices, chosen
from flexdash.models import AlarmKind, Channel, MessageState, Severity, Store
from flexdash.services.alarms.addresses import LONGEST_URL
from flexdash.services.alarms.changing import Asked, checked_addresses, checked_webhook
from flexdash.services.alarms.kinds import KINDS
from flexdash.services.alarms.reading import AlarmFilters, MessageFilters
from flexdash.services.alarms.wishes import DEFAULT_REMINDER_HOURS, REMINDER_HOURS, Wishes
from flexdash.services.config_log import MAX_REASON_LENGTH, clean_reason

PAST = "past"
REMINDER_WORDS = {0: "No reminders", 4: "Every 4 hours", 12: "Every 12 hours", 24: "Every day", 72: "Every 3 days"}
MESSAGE_STATE_WORDS = {
    MessageState.WAITING: "Waiting",
    MessageState.SENT: "Sent",
    MessageState.GIVEN_UP: "Not sent",
}
CHANNEL_WORDS = {Channel.EMAIL: "E-mails", Channel.WEBHOOK: "Webhooks"}
SEVERITY_CHOICES = ((str(Severity.CRITICAL.value), "Critical"), (str(Severity.WARNING.value), "Warning"))


_HIDDEN = ("version", "csrf_token")


class FilterForm(StoreMixin, FlaskForm):
    """What the list of alarms is narrowed to; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    show = SelectField("Show", default="", choices=choices(("", "Open alarms"), (PAST, "Past alarms")))
    severity = SelectField("How bad", default="", choices=choices(("", "All"), *SEVERITY_CHOICES))
    kind = SelectField(
        "About",
        default="",
        choices=choices(("", "Everything"), *((kind.value, facts.label) for kind, facts in KINDS.items())),
    )
    sort = SelectField("Order of the list", default="")

    def __init__(self, args: Any, stores: Iterable[Store]) -> None:
        super().__init__(args)
        self.offer_stores(stores)
        first = (
            [("", "Latest past first")] if self.is_about_past else [("", "Worst first"), (NEWEST_FIRST, "Newest first")]
        )
        self.sort.choices = choices(*first, (OLDEST_FIRST, "Oldest first"))

    @property
    def is_about_past(self) -> bool:
        """Say whether the past alarms were asked for."""
        return chosen(self.show) == PAST

    def filters(self) -> AlarmFilters:
        """Return what was chosen; what is none of the choices narrows nothing."""
        return AlarmFilters(
            severity=Severity(int(value)) if (value := chosen(self.severity)) else None,
            kind=AlarmKind(kind) if (kind := chosen(self.kind)) else None,
            store_id=self.store_id,
        )


class MessageFilterForm(SortMixin, FlaskForm):
    """What the list of messages is narrowed to; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    state = SelectField(
        "State",
        default="",
        choices=choices(("", "All states"), *((state.value, words) for state, words in MESSAGE_STATE_WORDS.items())),
    )
    channel = SelectField(
        "Way",
        default="",
        choices=choices(("", "E-mails and webhooks"), *((one.value, words) for one, words in CHANNEL_WORDS.items())),
    )

    def filters(self) -> MessageFilters:
        """Return what was chosen; what is none of the choices narrows nothing."""
        return MessageFilters(
            state=MessageState(state) if (state := chosen(self.state)) else None,
            channel=Channel(channel) if (channel := chosen(self.channel)) else None,
        )


class SettingsForm(FlaskForm):
    """Who is told of which alarms. `version` is that of the settings when the page was made."""

    version = HiddenField()
    is_to_admins = BooleanField("E-mail every admin of this workspace")
    addresses = TextAreaField(
        "Further e-mail addresses",
        validators=[checked_by(checked_addresses)],
        render_kw={"rows": 3, "spellcheck": "false"},
    )
    webhook_url = StringField(
        "Webhook address",
        validators=[checked_by(checked_webhook)],
        render_kw={"maxlength": LONGEST_URL, "autocomplete": "off", "inputmode": "url", "spellcheck": "false"},
    )
    least_severity = RadioField(
        "How bad it has to be",
        choices=choices(
            (str(Severity.WARNING.value), "All alarms"), (str(Severity.CRITICAL.value), "Critical ones only")
        ),
        default=str(Severity.WARNING.value),
    )
    told_kinds = SelectMultipleField(
        "Which alarms",
        choices=choices(*((kind.value, facts.label) for kind, facts in KINDS.items())),
        widget=ListWidget(),
        option_widget=CheckboxInput(),
    )
    reminder_hours = SelectField(
        "Reminders while nobody is on it",
        choices=choices(*((str(hours), REMINDER_WORDS[hours]) for hours in REMINDER_HOURS)),
        default=str(DEFAULT_REMINDER_HOURS),
    )
    reason = StringField(
        "Reason",
        validators=[checked_by(clean_reason)],
        render_kw={"maxlength": MAX_REASON_LENGTH, "autocomplete": "off"},
    )

    @classmethod
    def of(cls, wishes: Wishes) -> "SettingsForm":
        """Return the form that shows `wishes`."""
        return cls(
            formdata=None,
            version=str(wishes.version),
            is_to_admins=wishes.is_to_admins,
            addresses="\n".join(wishes.addresses),
            webhook_url=wishes.webhook_url,
            least_severity=str(wishes.least_severity.value),
            told_kinds=[kind.value for kind in KINDS if kind not in wishes.muted_kinds],
            reminder_hours=str(wishes.reminder_hours),
        )

    def differs_from(self, wishes: Wishes) -> bool:
        """Say whether anything was typed that is not saved in `wishes`."""
        saved = self.of(wishes)
        return any(_plain(saved[name].data) != _plain(self[name].data) for name in self.data if name not in _HIDDEN)

    def asked(self) -> Asked:
        """Return what was typed, as the service takes it; call it after `validate`."""
        return Asked(
            is_to_admins=self.is_to_admins.data,
            addresses=self.addresses.data or "",
            webhook_url=self.webhook_url.data or "",
            least_severity=Severity(int(self.least_severity.data)),
            told_kinds=[AlarmKind(kind) for kind in self.told_kinds.data or ()],
            reminder_hours=int(self.reminder_hours.data),
        )


class SecretForm(FlaskForm):
    """Asks for another secret of the webhook."""

    version = HiddenField()


def _plain(value: Any) -> Any:
    return value.split() if isinstance(value, str) else value or []
