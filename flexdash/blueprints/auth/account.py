"""The person's own account: password, time zone, and where they are signed in."""

from flask import flash, redirect, render_template, request, url_for
from flask_login import current_user
from werkzeug.wrappers import Response

from flexdash.blueprints.asking import Question, ask
from flexdash.blueprints.auth import blueprint, throttle
from flexdash.blueprints.auth.browsers import browser_name
from flexdash.blueprints.auth.forms import PasswordForm, TimeZoneForm
from flexdash.blueprints.auth.loader import current_session_id
from flexdash.blueprints.guard import current_actor, signed_in
from flexdash.extensions import limiter
from flexdash.services import account as accounts
from flexdash.services import sign_in
from flexdash.services.errors import FieldRefused


@blueprint.get("/account")
@signed_in
def account() -> str:
    """Show who one is signed in as, and where."""
    return render_template(
        "auth/account.html",
        sessions=sign_in.sessions_of(current_actor()),
        present_id=current_session_id(),
        browser_name=browser_name,
    )


@blueprint.route("/account/password", methods=["GET", "POST"])
@signed_in
@limiter.limit(
    throttle.attempts,
    key_func=lambda: f"password:{current_actor().user_id}",
    methods=["POST"],
)
def password() -> Response | str | tuple[str, int]:
    """Change one's password."""
    actor = current_actor()
    form = PasswordForm(lambda new: accounts.refuse_weak(actor, new))
    if form.is_submitted():
        try:
            if form.validate():
                own_id = current_session_id()
                return _changed(
                    accounts.change_password(actor, form.current.data, form.new.data, keep_session_id=own_id)
                )
            if form.current.data:  # looked at whatever else is wrong, so that all of it is said at once
                accounts.check_password(actor, form.current.data)
        except FieldRefused as refusal:
            if refusal.field == "current":
                throttle.has_failed()
            form[refusal.field].errors = [refusal.sentence]
    return render_template("auth/password.html", form=form), 422 if form.errors else 200


@blueprint.route("/account/time-zone", methods=["GET", "POST"])
@signed_in
def time_zone() -> Response | str | tuple[str, int]:
    """Choose the zone in which one sees times."""
    form = TimeZoneForm(current_user.workspace.time_zone, data={"time_zone": current_user.time_zone or ""})
    if form.validate_on_submit():
        accounts.change_time_zone(current_actor(), form.time_zone.data)
        flash(f"You see times in {form.time_zone.data or 'the time zone of the workspace'} now.", "success")
        return redirect(url_for("auth.account"), code=303)
    return render_template("auth/time_zone.html", form=form), 422 if form.errors else 200


@blueprint.route("/account/sessions/<int:session_id>/revoke", methods=["GET", "POST"])
@signed_in
def revoke_session(session_id: int) -> Response | str:
    """Ask, then end one of one's own sessions; the present one by this way too."""
    if request.method != "POST":
        row = sign_in.session_of(current_actor(), session_id)
        where = f"{browser_name(row.user_agent)}, {row.address}" if row.address else browser_name(row.user_agent)
        effect = "That browser is signed out at once."
        return _ask_to_sign_out(f"Sign out {where}?", effect, "Sign it out", "Keep it signed in")
    sign_in.end_session(current_actor(), session_id)
    flash("That session is signed out.", "success")
    return redirect(url_for("auth.account"), code=303)


@blueprint.route("/account/sessions/revoke-others", methods=["GET", "POST"])
@signed_in
def revoke_other_sessions() -> Response | str:
    """Ask, then end all of one's sessions but the present one."""
    if request.method != "POST":
        n_others = len(sign_in.sessions_of(current_actor())) - 1
        whoever = {0: "No other browser is signed in now.", 1: "One other browser is signed out at once."}
        effect = whoever.get(n_others, f"{n_others} other browsers are signed out at once.")
        return _ask_to_sign_out(
            "Sign out everywhere else?",
            f"{effect} You stay signed in here.",
            "Sign out everywhere else",
            "Keep them signed in",
        )
    n_ended = sign_in.end_other_sessions(current_actor(), current_session_id())
    words = {0: "You were signed in nowhere else.", 1: "One other session is signed out."}
    flash(words.get(n_ended, f"{n_ended} other sessions are signed out."), "success")
    return redirect(url_for("auth.account"), code=303)


def _changed(n_ended: int) -> Response:
    others = " You are signed out everywhere else." if n_ended else ""
    flash(f"Your password is changed.{others}", "success")
    return redirect(url_for("auth.account"), code=303)


def _ask_to_sign_out(title: str, effect: str, do_label: str, keep_label: str) -> str:
    return ask(
        Question(
            title=title,
            effects=(
                effect,
                "What is typed there and not saved yet is lost.",
                "Whoever knows the password can sign in again. If somebody else may know it, change it instead: that "
                "signs out everywhere else too.",
            ),
            do_label=do_label,
            keep_label=keep_label,
            keep_url=url_for("auth.account", _anchor="sessions"),
            crumbs=[("Home", url_for("home.index")), ("Your account", url_for("auth.account"))],
        )
    )
