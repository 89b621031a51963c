"""The pages of users."""

from flask import flash, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from flexdash.blueprints.admin import blueprint
from flexdash.blueprints.admin.forms import (
    ROLE_WORDS,
    DeactivateForm,
    EditUserForm,
    NewUserForm,
    ResetPasswordForm,
    UserFilterForm,
)
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page
from flexdash.extensions import vault
from flexdash.models import User
from flexdash.services import passwords, sellers
from flexdash.services import users as people
from flexdash.services.actors import Permission
from flexdash.services.errors import ServiceError
from flexdash.vault import UnreadableSecret

_ONCE = "password_to_show_once"
_HINTS = {role.value: words for role, words in ROLE_WORDS.items()}


@blueprint.get("/users")
@requires(Permission.MANAGE_PEOPLE)
def users() -> str:
    """List the people of the workspace."""
    form = UserFilterForm(request.args)
    query = people.listing(current_actor(), form.search(), form.chosen_role(), form.is_active())
    order = [(User.id, "desc")] if form.is_newest_first() else [(User.name, "asc"), (User.id, "asc")]
    return render_template("admin/users.html", page=keyset_page(query, order, request.args), form=form)


@blueprint.route("/users/new", methods=["GET", "POST"])
@requires(Permission.MANAGE_PEOPLE)
def add_user() -> Response | tuple[str, int]:
    """Add a person, with a password of the admin's or one made here and shown once."""
    actor = current_actor()
    form = NewUserForm(sellers.all_by_name(actor))
    if form.validate_on_submit():
        password = form.password.data or passwords.generate()
        try:
            user = people.add(actor, **form.values(), password=password)
        except ServiceError as refusal:
            form.refuse(refusal)
        else:
            flash(f"{user.name} is added and can sign in.", "success")
            if not form.password.data:
                return _show_once(user, password)
            return redirect(url_for("admin.users"), code=303)
    return render_template("admin/add_user.html", form=form, hints=_HINTS), 422 if form.errors else 200


@blueprint.route("/users/<int:user_id>", methods=["GET", "POST"])
@requires(Permission.MANAGE_PEOPLE)
def edit_user(user_id: int) -> Response | tuple[str, int]:
    """Show and change a person."""
    actor = current_actor()
    user = people.get(actor, user_id)
    form = EditUserForm(
        sellers.all_by_name(actor),
        data={
            "name": user.name,
            "email": user.email,
            "role": user.role.value,
            "is_limited": user.is_limited_to_sellers,
            "seller_ids": [seller.id for seller in user.sellers],
        },
    )
    if form.validate_on_submit():
        try:
            user = people.edit(actor, user_id, **form.values())
        except ServiceError as refusal:
            form.refuse(refusal)
        else:
            flash(f"{user.name} is saved.", "success")
            return redirect(url_for("admin.users"), code=303)
    user = people.get(actor, user_id)
    return render_template("admin/edit_user.html", form=form, user=user, hints=_HINTS), 422 if form.errors else 200


@blueprint.route("/users/<int:user_id>/deactivate", methods=["GET", "POST"])
@requires(Permission.MANAGE_PEOPLE)
def deactivate_user(user_id: int) -> Response | tuple[str, int]:
    """Ask first, then keep a person out."""
    user = people.get(current_actor(), user_id)
    form = DeactivateForm()
    if form.validate_on_submit():
        try:
            user = people.deactivate(current_actor(), user_id, form.reason.data or "")
        except ServiceError as refusal:
            form.refuse(refusal)
            user = people.get(current_actor(), user_id)
        else:
            flash(f"{user.name} is deactivated and signed out everywhere.", "success")
            return redirect(url_for("admin.users"), code=303)
    return render_template("admin/deactivate_user.html", form=form, user=user), 422 if form.errors else 200


@blueprint.post("/users/<int:user_id>/reactivate")
@requires(Permission.MANAGE_PEOPLE)
def reactivate_user(user_id: int) -> Response:
    """Let a deactivated person in again."""
    user = people.reactivate(current_actor(), user_id)
    flash(f"{user.name} can sign in again, with the password from before.", "success")
    return redirect(url_for("admin.users"), code=303)


@blueprint.route("/users/<int:user_id>/reset-password", methods=["GET", "POST"])
@requires(Permission.MANAGE_PEOPLE)
def reset_password(user_id: int) -> Response | tuple[str, int]:
    """Give a person another password, the admin's or one made here and shown once."""
    user = people.get(current_actor(), user_id)
    if user.id == current_actor().user_id:
        return redirect(url_for("auth.password"), code=303)  # one's own asks for the present one
    form = ResetPasswordForm()
    if form.validate_on_submit():
        password = form.password.data or passwords.generate()
        try:
            user = people.reset_password(current_actor(), user_id, password, reason=form.reason.data or "")
        except ServiceError as refusal:
            form.refuse(refusal)
            user = people.get(current_actor(), user_id)
        else:
            flash(f"{user.name} has a new password and is signed out everywhere.", "success")
            if not form.password.data:
                return _show_once(user, password)
            return redirect(url_for("admin.edit_user", user_id=user_id), code=303)
    return render_template("admin/reset_password.html", form=form, user=user), 422 if form.errors else 200


@blueprint.get("/users/<int:user_id>/password")
@requires(Permission.MANAGE_PEOPLE)
def show_password(user_id: int) -> Response | str:
    """Show the password that was just made, once."""
    user = people.get(current_actor(), user_id)
    if password := _take_once(user):
        return render_template("admin/show_password.html", user=user, password=password)
    flash("The password was shown already, and FlexDash does not keep it. Reset it to have another one made.", "info")
    return redirect(url_for("admin.edit_user", user_id=user_id), code=303)


def _show_once(user: User, password: str) -> Response:
    # Carried encrypted: the cookie of the session is signed, but anyone at the browser could read it.
    session[_ONCE] = vault.encrypt(f"{user.id} {password}").decode()
    return redirect(url_for("admin.show_password", user_id=user.id), code=303)


def _take_once(user: User) -> str | None:
    sealed = session.pop(_ONCE, None)
    if not sealed:
        return None
    try:
        user_id, _, password = vault.decrypt(sealed.encode()).partition(" ")
    except UnreadableSecret:  # the key was taken away between making and showing
        return None
    return password if user_id == str(user.id) else None
