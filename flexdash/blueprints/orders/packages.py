"""How an order is packed: the page on which a person changes it, with any number of packages and without any script."""

import re
from typing import Any

from flask import flash, redirect, render_template, request, url_for
from flask_wtf import FlaskForm
from werkzeug.wrappers import Response
from wtforms import HiddenField, StringField, TextAreaField

from flexdash.blueprints.fields import whole
from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.orders import blueprint
from flexdash.blueprints.orders.steps_start import start_steps
from flexdash.models import Order, OrderLine, OrderPackage
from flexdash.services import orders
from flexdash.services.actors import Permission
from flexdash.services.errors import ServiceError
from flexdash.services.order_numbers import number_of
from flexdash.services.order_work import overview, packing, packing_edit
from flexdash.services.order_work.packing_edit import LineInput, PackageInput, PackagesRefused

_SIZES = {
    "length_cm": "Length in cm",
    "width_cm": "Width in cm",
    "height_cm": "Height in cm",
    "weight_g": "Weight in grams",
}
_LINE_FIELDS = {
    "serial_numbers": "Serial numbers",
    "country_of_origin": "Country of origin",
    "item_value": "Value of one unit",
    "hazmat_labels": "Hazmat labels",
}
_REMOVE = re.compile(r"^remove-([0-9]{1,2})$")


@blueprint.route("/<int:order_id>/packages", methods=["GET", "POST"])
@requires(Permission.WORK_ORDERS)
def packages(order_id: int) -> Response | str | tuple[str, int]:
    """Show and change how an order is packed."""
    order = orders.load(current_actor(), order_id)
    if request.method != "POST":
        known = packing.of_order(order)
        return _page(order, _form(order, max(1, len(known)), _values(order, known)))
    n = min(max(whole(request.form.get("n_packages")) or 1, 1), packing_edit.MAX_PACKAGES)
    typed = {name: value for name, value in request.form.items() if name.startswith("p")}
    action = request.form.get("action", "save")
    if action == "add":
        n = min(n + 1, packing_edit.MAX_PACKAGES)
        return _page(order, _form(order, n, typed))
    if removed := _REMOVE.match(action):
        typed = _without(typed, int(removed[1]), n)
        return _page(order, _form(order, max(1, n - 1), typed))
    form = _form(order, n, typed)
    try:
        packing_edit.edit(current_actor(), order_id, [_given(order, number, typed) for number in range(1, n + 1)])
    except PackagesRefused as refusal:
        _blame(form, refusal.problems)
        return _page(orders.load(current_actor(), order_id), form), 422
    except ServiceError as refusal:
        flash(refusal.sentence, "error")
    else:
        flash("The packages are changed. Amazon is told.", "success")
        start_steps(order_id)
    return redirect(url_for(".detail", order_id=order_id), 303)


def _page(order: Order, form: FlaskForm) -> str:
    return render_template(
        "orders/packages.html",
        order=order,
        number=number_of(order.id),
        form=form,
        n_packages=int(form.n_packages.data),
        sizes=_SIZES,
        asked_of={line.id: _asked_of(line) for line in order.lines},
        refusal=packing_edit.why_not_editable(order),
        missing=packing.missing(order, packing.of_order(order)),
        cancelled_words=overview.cancelled_words(order),
        max_packages=packing_edit.MAX_PACKAGES,
    )


def _asked_of(line: OrderLine) -> list[tuple[str, bool]]:
    """Return what else a person can say of a line, and whether Amazon wants it; what Amazon forbids is left out."""
    rules = {name: packing.requirement(line, name) for name in _LINE_FIELDS}
    return [(name, rule == packing.REQUIRED) for name, rule in rules.items() if rule not in ("", packing.DISALLOWED)]


def _form(order: Order, n: int, values: dict[str, Any]) -> FlaskForm:
    """Return a form for `n` packages of the order, filled with `values` by field name."""
    fields: dict[str, Any] = {"n_packages": HiddenField()}
    for number in range(1, n + 1):
        for name, label in _SIZES.items():
            fields[f"p{number}_{name}"] = StringField(label)
        for line in order.lines:
            fields[f"p{number}_line{line.id}_units"] = StringField("Units in this package")
            for name, _ in _asked_of(line):
                kind = TextAreaField if name in ("serial_numbers", "hazmat_labels") else StringField
                fields[f"p{number}_line{line.id}_{name}"] = kind(_LINE_FIELDS[name])
    return type("PackagesForm", (FlaskForm,), fields)(formdata=None, data={**values, "n_packages": str(n)})


def _values(order: Order, known: list[OrderPackage]) -> dict[str, str]:
    """Return how the order is packed now, by field name."""
    values: dict[str, str] = {}
    ids = {line.amazon_line_id: line.id for line in order.lines}
    for number, package in enumerate(known, start=1):
        for name in _SIZES:
            value = getattr(package, name)
            values[f"p{number}_{name}"] = "" if value is None else f"{value:f}" if name != "weight_g" else str(value)
        for packed in package.lines:
            prefix = f"p{number}_line{ids.get(packed['line_id'], 0)}"
            values[f"{prefix}_units"] = str(packed["n_units"])
            values[f"{prefix}_serial_numbers"] = "\n".join(packed.get("serial_numbers", ()))
            values[f"{prefix}_hazmat_labels"] = "\n".join(packed.get("hazmat_labels", ()))
            values[f"{prefix}_country_of_origin"] = packed.get("country_of_origin", "")
            values[f"{prefix}_item_value"] = (packed.get("item_value") or [""])[0]
    return values


def _without(typed: dict[str, str], removed: int, n: int) -> dict[str, str]:
    """Return what was typed without one package, the later ones moved up."""
    kept = {}
    for old in range(1, n + 1):
        new = old if old < removed else old - 1
        if old != removed:
            prefix = f"p{old}_"
            kept |= {f"p{new}_{name[len(prefix) :]}": value for name, value in typed.items() if name.startswith(prefix)}
    return kept


def _given(order: Order, number: int, typed: dict[str, str]) -> PackageInput:
    def of(name: str) -> str:
        return typed.get(f"p{number}_{name}", "")[:2_000]

    return PackageInput(
        **{name: of(name) for name in _SIZES},
        lines={
            line.amazon_line_id: LineInput(
                n_units=of(f"line{line.id}_units"), **{name: of(f"line{line.id}_{name}") for name in _LINE_FIELDS}
            )
            for line in order.lines
        },
    )


def _blame(form: FlaskForm, problems: dict[str, str]) -> None:
    """Put each problem beside its field; what is about all of it, or about a field that is not shown, comes first."""
    for key, sentence in problems.items():
        number, _, rest = key.partition("-")
        name = f"p{number}_{rest.replace('line-', 'line').replace('-', '_', 1) if rest.startswith('line-') else rest}"
        if name in form:
            form[name].errors = [sentence]
        else:
            form.form_errors.append(sentence)
