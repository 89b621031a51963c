"""Who is told of alarms: the settings, trying them out, and what was sent."""

import json
from datetime import timedelta

from flask import abort, flash, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from flexdash import clock
from flexdash.blueprints.alarms import blueprint
from flexdash.blueprints.alarms.forms import MessageFilterForm, SecretForm, SettingsForm
from flexdash.blueprints.asking import Question, ask
from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.extensions import settings as app_settings
from flexdash.extensions import vault
from flexdash.models import Channel, MessageState
from flexdash.services.actors import Permission
from flexdash.services.alarms import changing, reading, wishes
from flexdash.services.alarms.kinds import KINDS
from flexdash.services.alarms.reading import MessageFilters
from flexdash.services.changed_meanwhile import ChangedByOther
from flexdash.services.errors import ServiceError
from flexdash.vault import UnreadableSecret

MEANWHILE = 409
_ONCE = "webhook_secret_to_show_once"
_SHOWN_FOR = timedelta(minutes=5)
EVENT_WORDS = {"opened": "Alarm", "reminder": "Reminder", "cleared": "All clear", "test": "Test"}


@blueprint.get("/settings")
@requires(Permission.MANAGE_ALARMS)
def settings() -> str:
    """Show who is told of which alarms; once, the secret of a webhook that has just been made."""
    asked = wishes.of(current_actor().workspace_id)
    return _page(SettingsForm.of(asked), secret=_take_secret(asked.version))


@blueprint.post("/settings")
@requires(Permission.MANAGE_ALARMS)
def change_settings() -> Response | tuple[str, int]:
    """Save who is told."""
    form = SettingsForm()
    if not form.validate():
        return _page(form), 422
    version = whole(form.version.data) or 0
    try:
        secret = changing.change(current_actor(), form.asked(), version=version, reason=form.reason.data or "")
    except ChangedByOther as refusal:
        form.version.data = str(wishes.of(current_actor().workspace_id).version)
        return _page(form, refusal=refusal), MEANWHILE
    flash("The alarm settings are saved.", "success")
    return _back(secret, version + 1)


@blueprint.route("/settings/secret", methods=["GET", "POST"])
@requires(Permission.MANAGE_ALARMS)
def renew_secret() -> Response | str | tuple[str, int]:
    """Ask, then make another secret for the webhook and show it once."""
    if request.method != "POST":
        return _ask_about_secret()
    version = whole(SecretForm().version.data) or 0
    try:
        secret = changing.renew_secret(current_actor(), version=version)
    except ChangedByOther as refusal:
        return _page(SettingsForm.of(wishes.of(current_actor().workspace_id)), refusal=refusal), MEANWHILE
    except ServiceError as refusal:
        flash(refusal.sentence, "warning")
        return redirect(url_for(".settings"), 303)
    flash("The webhook has another secret. What is sent from now on is signed with it.", "success")
    return _back(secret, version + 1)


@blueprint.post("/settings/test")
@requires(Permission.MANAGE_ALARMS)
def send_test() -> Response | tuple[str, int]:
    """Send a test by e-mail or to the webhook; the page then says how it went, and keeps what was typed."""
    try:
        channel = Channel(request.form.get("channel", ""))
    except ValueError:
        abort(400)
    form, saved = SettingsForm(), wishes.of(current_actor().workspace_id)
    if channel is Channel.WEBHOOK and (form.webhook_url.data or "").strip() != saved.webhook_url:
        form.webhook_url.errors = ["This address is not saved yet. Save the alarm settings first, then try it out."]
        return _page(form), 422
    try:
        changing.send_test(current_actor(), channel)
    except ServiceError as refusal:
        flash(refusal.sentence, "warning")
    if form.differs_from(saved):
        flash("What you typed is kept here, but not saved yet: save the alarm settings, too.", "warning")
        return _page(form), 200
    return redirect(url_for(".settings", _anchor="test"), 303)


@blueprint.get("/settings/test/live")
@requires(Permission.MANAGE_ALARMS)
def latest_test() -> str:
    """Give the part of the page that says how the latest test went; it asks for itself until that is known."""
    return render_template("partials/alarm_test.html", **_test_facts())


@blueprint.get("/messages")
@requires(Permission.MANAGE_ALARMS)
def messages() -> str:
    """Show what was sent, what waits, and what was given up and why."""
    form = MessageFilterForm(request.args)
    filters = form.filters()
    order = turned(reading.MESSAGE_ORDER, form.is_oldest_first)
    return render_template(
        "alarms/messages.html",
        page=keyset_page(reading.messages(current_actor(), filters), order, request.args),
        filter_form=form,
        is_filtered=filters != MessageFilters(),
        event_words=EVENT_WORDS,
    )


def _ask_about_secret() -> Response | str:
    asked = wishes.of(current_actor().workspace_id)
    if not asked.webhook_url:
        flash("There is no webhook, so there is no secret. Give the webhook's address first.", "warning")
        return redirect(url_for(".settings"), 303)
    return ask(
        Question(
            title="Make another secret for the webhook?",
            effects=(
                f"What FlexDash sends to {asked.webhook_host} from then on is signed with the new secret. Until the "
                "receiver has it, it takes FlexDash's messages for forged, and alarms do not get through.",
                "The new secret is shown once, on the next page. Have the receiver's settings at hand.",
                "The old secret cannot be brought back.",
            ),
            do_label="Make another secret",
            keep_label="Keep the present one",
            keep_url=url_for(".settings"),
            crumbs=[("Home", url_for("home.index")), ("Alarms", url_for(".index")), ("Settings", url_for(".settings"))],
            values={"version": str(asked.version)},
        )
    )


def _test_facts() -> dict[str, object]:
    test = reading.latest_test(current_actor())
    return {"test": test, "is_test_live": test is not None and test.state is MessageState.WAITING}


def _page(form: SettingsForm, *, secret: str = "", refusal: ChangedByOther | None = None) -> str:
    asked = wishes.of(current_actor().workspace_id)
    return render_template(
        "alarms/settings.html",
        form=form,
        secret=secret,
        refusal=refusal,
        wishes=asked,
        kinds=KINDS,
        has_mail=bool(app_settings.smtp_url),
        mail_from=app_settings.mail_from,
        last_change=changing.last_change(current_actor()),
        **_test_facts(),
    )


def _back(secret: str, version: int) -> Response:
    """Lead to the settings, which show `secret` once; `version` is that of the settings since it was made."""
    if secret:
        # Carried encrypted: the cookie of the session is signed, but anyone at the browser could read it.
        values = [current_actor().workspace_id, version, clock.now().timestamp(), secret]
        session[_ONCE] = vault.encrypt(json.dumps(values)).decode()
    return redirect(url_for(".settings"), 303)


def _take_secret(version: int) -> str:
    """Return the secret to show, which the cookie then no longer holds; "" for none.

    Whoever puts an older cookie back gets it for a few minutes at most, and none that was renewed meanwhile.
    """
    sealed = session.pop(_ONCE, None)
    if not sealed:
        return ""
    try:
        workspace_id, of_version, made_at, secret = json.loads(vault.decrypt(sealed.encode()))
    except (UnreadableSecret, ValueError):
        return ""
    is_fresh = clock.now().timestamp() - made_at <= _SHOWN_FOR.total_seconds()
    return secret if (workspace_id, of_version) == (current_actor().workspace_id, version) and is_fresh else ""
