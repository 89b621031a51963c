"""The forms of users, sellers and hubs. What can be is decided by the services, which a form asks of each field."""

from collections.abc import Iterable
from typing import Any

from flask_wtf import FlaskForm
from wtforms import BooleanField, PasswordField, RadioField, SelectField, SelectMultipleField, StringField
from wtforms.validators import DataRequired, Length, Optional
from wtforms.widgets import CheckboxInput, ListWidget

from flexdash.blueprints.fields import BACKWARDS, NEWEST_FIRST, SkuSortMixin, checked_by, choices, chosen
from flexdash.models import Role, Seller, StoreStatus
from flexdash.services import hubs, names, passwords, users
from flexdash.services.errors import FieldRefused, ServiceError
from flexdash.services.places import check_time_zone, countries, time_zones

ROLE_WORDS = {
    Role.MERCHANT: "Connects and configures stores, works orders, sees buyer data.",
    Role.ADMIN: "All that a merchant may, and manages people, sellers and hubs.",
    Role.SUPPORT: "Looks at everything but buyer data, starts syncs, changes nothing else.",
}

STORE_STATUS_WORDS = {
    StoreStatus.CONNECTED.value: "Connected",
    StoreStatus.NEEDS_REAUTHORIZATION.value: "Needs re-authorization",
    StoreStatus.DRAFT.value: "Not connected yet",
    StoreStatus.DISCONNECTED.value: "Disconnected",
}

ROLE_CHOICES = [(role.value, role.value.capitalize()) for role in Role]


class AdminForm(FlaskForm):
    """A form that takes a service's refusal as an error of the field it is about."""

    def refuse(self, refusal: ServiceError) -> None:
        """Put the refusal beside its field, or above the form when it is about none of them."""
        field = self._fields.get(refusal.field) if isinstance(refusal, FieldRefused) else None
        if field is None:
            self.form_errors.append(refusal.sentence)
        else:
            field.errors = [*field.errors, refusal.sentence]


class ReasonMixin:
    """Why, if the person wants to say; it goes into the Configuration Log."""

    reason = StringField("Reason", validators=[Length(max=300, message="Use at most 300 characters.")])


class FilterForm(FlaskForm):
    """What a list is narrowed to and how it is sorted; it lives in the URL."""

    class Meta:
        csrf = False  # a GET that changes nothing

    q = StringField("Search")
    status = SelectField("State", choices=choices(("", "All"), ("active", "Active"), ("inactive", "Inactive")))
    sort = SelectField("Sort by", choices=choices(("name", "Name"), ("newest", "Newest first")))

    def search(self) -> str:
        """Return the text to search for."""
        return (self.q.data or "")[:100]

    def is_active(self) -> bool | None:
        """Return which state was chosen; None for both."""
        return {"active": True, "inactive": False}.get(chosen(self.status))

    def is_newest_first(self) -> bool:
        """Say whether the newest come first rather than by name."""
        return chosen(self.sort) == "newest"


class SellerSkusForm(SkuSortMixin, FilterForm):
    pass


class SellerStoresForm(SellerSkusForm):
    status = SelectField("State", choices=choices(("", "All states"), *STORE_STATUS_WORDS.items()))
    sort = SelectField(
        "Order of the list",
        choices=choices(("", "Name, A to Z"), (BACKWARDS, "Name, Z to A"), (NEWEST_FIRST, "Newest first")),
    )

    def chosen_status(self) -> StoreStatus | None:
        """Return the state chosen, None for all."""
        return StoreStatus(status) if (status := chosen(self.status)) else None


class UserFilterForm(FilterForm):
    role = SelectField("Role", choices=choices(("", "All roles"), *ROLE_CHOICES))

    def chosen_role(self) -> Role | None:
        """Return the role chosen, None for all."""
        return Role(role) if (role := chosen(self.role)) else None


class UserForm(AdminForm):
    name = StringField("Name", validators=[DataRequired("Give the person's name."), checked_by(names.checked)])
    email = StringField(
        "E-mail",
        validators=[DataRequired("Give the e-mail the person signs in with."), checked_by(users.checked_email)],
    )
    role = RadioField(
        "Role",
        choices=choices(*ROLE_CHOICES),
        default=Role.MERCHANT.value,
        validators=[DataRequired("Choose a role.")],
    )
    is_limited = BooleanField("Limit this person to some sellers")
    seller_ids = SelectMultipleField("Sellers", coerce=int, widget=ListWidget(), option_widget=CheckboxInput())

    def __init__(self, sellers: Iterable[Seller], **values: Any) -> None:
        super().__init__(**values)
        named = ((seller.id, seller.name if seller.is_active else f"{seller.name} (inactive)") for seller in sellers)
        self.seller_ids.choices = choices(*named)

    def validate_seller_ids(self, field: SelectMultipleField) -> None:
        """Refuse a limit that this person cannot have."""
        if self.is_limited.data and self.role.data in set(Role):
            checked_by(lambda _: users.check_limit(Role(self.role.data), field.data))(self, field)

    def values(self) -> dict[str, Any]:
        """Return what services.users takes."""
        return {
            "name": self.name.data,
            "email": self.email.data,
            "role": Role(self.role.data),
            "seller_ids": self.seller_ids.data if self.is_limited.data else None,
        }


class EditUserForm(ReasonMixin, UserForm):
    def values(self) -> dict[str, Any]:
        """Return what services.users takes."""
        return {**super().values(), "reason": self.reason.data or ""}


class NewUserForm(UserForm):
    password = PasswordField("First password", validators=[Optional()])

    def validate_password(self, field: PasswordField) -> None:
        """Refuse one that is easily guessed."""
        own = {"email": self.email.data or "", "name": self.name.data or ""}
        checked_by(lambda password: passwords.refuse_weak(password, field="password", **own))(self, field)


class ResetPasswordForm(ReasonMixin, AdminForm):
    password = PasswordField(
        "New password",
        validators=[Optional(), checked_by(lambda password: passwords.refuse_weak(password, field="password"))],
    )


class SellerForm(AdminForm):
    name = StringField("Name", validators=[DataRequired("Give the seller's name."), checked_by(names.checked)])


class RenameSellerForm(ReasonMixin, SellerForm):
    pass


class HubForm(AdminForm):
    code = StringField(
        "Code", validators=[DataRequired("Give the hub a code, like PUNE."), checked_by(hubs.clean_code)]
    )
    name = StringField(
        "Name", validators=[DataRequired("Give the hub's name, like Pune Warehouse."), checked_by(hubs.clean_name)]
    )
    city = StringField("City", validators=[checked_by(hubs.clean_city)])
    country_code = SelectField(
        "Country", validate_choice=False, validators=[DataRequired("Choose the country the hub is in.")]
    )
    time_zone = SelectField("Time zone", validate_choice=False, validators=[checked_by(check_time_zone)])

    def __init__(self, **values: Any) -> None:
        super().__init__(**values)
        self.country_code.choices = choices(("", "Choose a country"), *countries().items())
        self.time_zone.choices = choices(*((zone, zone) for zone in time_zones()))

    def values(self) -> dict[str, str]:
        """Return what services.hubs takes."""
        return {
            "code": self.code.data,
            "name": self.name.data,
            "city": self.city.data or "",
            "country_code": self.country_code.data,
            "time_zone": self.time_zone.data or "",
        }


class EditHubForm(ReasonMixin, HubForm):
    def values(self) -> dict[str, str]:
        """Return what services.hubs takes."""
        return {**super().values(), "reason": self.reason.data or ""}


class DeactivateForm(ReasonMixin, AdminForm):
    pass
