"""Sign in and sign out."""

from flask import flash, make_response, redirect, render_template, request, session, url_for
from flask_limiter import RateLimitExceeded
from flask_login import current_user
from werkzeug.wrappers import Response

from flexdash import limits, metrics
from flexdash.blueprints.auth import blueprint, known_browsers, throttle
from flexdash.blueprints.auth.forms import SignInForm
from flexdash.blueprints.auth.loader import TOKEN_KEY
from flexdash.blueprints.auth.next_page import is_own_page
from flexdash.blueprints.guard import current_actor, public, signed_in
from flexdash.errors import reference
from flexdash.extensions import limiter
from flexdash.services import access_log
from flexdash.services import sign_in as sign_ins


def _address_key() -> str:
    return sign_ins.address_key(request.remote_addr or "")


def _email_key() -> str:
    return known_browsers.key_of(sign_ins.email_key(request.form.get("email", "")[:254]))


@blueprint.route("/sign-in", methods=["GET", "POST"])
@public
@limiter.limit(throttle.attempts, key_func=_address_key, methods=["POST"])
@limiter.limit(throttle.attempts, key_func=_email_key, methods=["POST"])
def sign_in() -> Response | str | tuple[str, int]:
    """Ask for e-mail and password; then go to the page that was asked for, if it is one of ours."""
    target = request.args.get("next", "")
    target = target if is_own_page(target) else url_for("home.index")
    if request.method != "POST" and current_user.is_authenticated:
        return redirect(target, code=303)
    form = SignInForm()
    if not form.validate_on_submit():
        return render_template("auth/sign_in.html", form=form), 422 if form.errors else 200
    try:
        token = sign_ins.begin(
            form.email.data,
            form.password.data,
            address=request.remote_addr or "",
            user_agent=request.user_agent.string,
            previous_token=session.get(TOKEN_KEY),
        )
    except sign_ins.SignInRefused as refusal:
        throttle.has_failed()
        form.form_errors.append(refusal.sentence)
        return render_template("auth/sign_in.html", form=form), 422
    # Nothing of the visit before lives on: a session that someone planted in this browser is worth nothing now.
    session.clear()
    session[TOKEN_KEY] = token
    response = redirect(target, code=303)
    known_browsers.remember(response, sign_ins.email_key(form.email.data))
    return response


@blueprint.post("/sign-out")
@signed_in
def sign_out() -> Response:
    """End the session in the database, then forget it in the browser."""
    sign_ins.end(current_actor(), session[TOKEN_KEY])
    session.clear()
    flash("You are signed out.", "success")
    return redirect(url_for("auth.sign_in"), code=303)


@blueprint.errorhandler(RateLimitExceeded)
def too_many_attempts(_error: RateLimitExceeded) -> Response:
    """Say that the password was tried too often, and from when it can be tried again."""
    if request.endpoint == "auth.sign_in":
        access_log.throttled(sign_ins.normal_email(request.form.get("email", "")[:254]), request.remote_addr or "")
        metrics.count("sign_ins", outcome="throttled")
    seconds = limits.seconds_to_wait()
    n_minutes = max(1, (seconds + 55) // 60)  # rounded up, but the storage's odd second does not make two of one
    response = make_response(
        render_template("auth/_too_many_attempts.html", n_minutes=n_minutes, reference=reference()), 429
    )
    response.headers["Retry-After"] = str(seconds)
    return response
