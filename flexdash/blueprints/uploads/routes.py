"""The history of uploads, and the page of one."""

from typing import Any

from flask import flash, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.utils import redirect
from werkzeug.wrappers import Response

from flexdash.blueprints.guard import current_actor, requires
from flexdash.blueprints.paging import keyset_page, turned
from flexdash.blueprints.uploads import blueprint
from flexdash.blueprints.uploads.forms import ApplyForm, FilterForm, ReadingForm
from flexdash.blueprints.uploads.words import (
    KIND_WORDS,
    LIVE,
    MODE_WORDS,
    OUTCOME_WORDS,
    STATE_WORDS,
    percent_of,
    size_words,
)
from flexdash.extensions import db
from flexdash.jobs import queues
from flexdash.models import RowOutcome, Seller, Store, Upload, UploadRow, UploadState
from flexdash.services import access
from flexdash.services.actors import Permission
from flexdash.services.errors import FieldRefused, ServiceError
from flexdash.services.uploads import deciding, headers, history, previews
from flexdash.services.uploads.encodings import ENCODINGS
from flexdash.services.uploads.records import DELIMITERS
from flexdash.templating import viewer_zone

REFUSED_PER_PAGE = 25


@blueprint.get("")
@requires(Permission.VIEW)
def index() -> str:
    """Show the uploads, newest or oldest first, narrowed by the filters in the URL."""
    actor = current_actor()
    form = FilterForm(
        request.args,
        db.session.scalars(access.visible(actor, Store).where(Store.name != "").order_by(Store.name)),
        db.session.scalars(access.visible(actor, Seller).order_by(Seller.name)),
        history.people(actor),
    )
    filters = form.filters(viewer_zone())
    columns = turned([(Upload.id, "desc")], form.is_oldest_first)
    return render_template(
        "uploads/index.html",
        page=keyset_page(history.listing(actor, filters), columns, request.args),
        form=form,
        is_filtered=filters != history.Filters(),
        kind_words=KIND_WORDS,
        state_words=STATE_WORDS,
    )


@blueprint.get("/<int:upload_id>")
@requires(Permission.VIEW)
def detail(upload_id: int) -> str:
    """Show one upload: how it stands, what it would do or did, and what a person has to decide."""
    return render_template("uploads/detail.html", **_facts(history.load(current_actor(), upload_id)))


@blueprint.get("/<int:upload_id>/live")
@requires(Permission.VIEW)
def live(upload_id: int) -> str:
    """Give the part of the page that changes while a worker has the file; it asks for itself again until the end."""
    return render_template("partials/upload.html", **_facts(history.load(current_actor(), upload_id)))


@blueprint.post("/<int:upload_id>/apply")
@requires(Permission.MANAGE_STOCK)
def apply(upload_id: int) -> ResponseReturnValue:
    """Let the file be applied, once its boxes are ticked."""
    upload = history.load(current_actor(), upload_id)
    form = _apply_form(upload, deciding.same_file_applied(upload))
    try:
        deciding.accept(
            current_actor(),
            upload_id,
            is_big_confirmed=form.says("is_big_confirmed"),
            is_another_delivery=form.says("is_another_delivery"),
            reason=form.reason.data or "",
        )
    except FieldRefused as refusal:
        form.show(refusal)
        facts = _facts(history.load(current_actor(), upload_id), apply_form=form)
        return render_template("uploads/detail.html", form=form, **facts), 422
    except ServiceError as refusal:
        flash(refusal.sentence, "warning")
    else:
        queues.enqueue_upload(upload_id)
    return redirect(url_for(".detail", upload_id=upload_id), 303)


@blueprint.post("/<int:upload_id>/read-again")
@requires(Permission.MANAGE_STOCK)
def read_again(upload_id: int) -> ResponseReturnValue:
    """Have the file checked anew, read with another encoding or delimiter."""
    form = ReadingForm()
    try:
        deciding.read_again(
            current_actor(), upload_id, encoding=form.encoding.data or "", delimiter=form.delimiter.data or ""
        )
    except FieldRefused as refusal:
        form.show(refusal)
        facts = _facts(history.load(current_actor(), upload_id), reading_form=form)
        return render_template("uploads/detail.html", form=form, **facts), 422
    except ServiceError as refusal:
        flash(refusal.sentence, "warning")
    else:
        queues.enqueue_upload(upload_id)
    return redirect(url_for(".detail", upload_id=upload_id), 303)


@blueprint.post("/<int:upload_id>/try-again")
@requires(Permission.MANAGE_STOCK)
def try_again(upload_id: int) -> Response:
    """Take up a file that was given up."""
    try:
        deciding.try_again(current_actor(), upload_id)
    except ServiceError as refusal:
        flash(refusal.sentence, "warning")
    else:
        queues.enqueue_upload(upload_id)
    return redirect(url_for(".detail", upload_id=upload_id), 303)


@blueprint.route("/<int:upload_id>/discard", methods=["GET", "POST"])
@requires(Permission.MANAGE_STOCK)
def discard(upload_id: int) -> ResponseReturnValue:
    """Ask whether the file is to be put aside, and do it."""
    upload = history.load(current_actor(), upload_id)
    if request.method != "POST":
        return render_template("uploads/discard.html", upload=upload, kind_words=KIND_WORDS)
    try:
        deciding.discard(current_actor(), upload_id)
    except ServiceError as refusal:
        flash(refusal.sentence, "warning")
    else:
        queues.enqueue_upload(upload_id)  # which deletes its rows
        flash("The file is put aside. Nothing was changed by it.", "success")
    return redirect(url_for(".detail", upload_id=upload_id), 303)


def _apply_form(upload: Upload, earlier: deciding.Earlier | None) -> ApplyForm:
    return ApplyForm(upload, bool(earlier and earlier.needs_consent))


def _facts(
    upload: Upload, *, apply_form: ApplyForm | None = None, reading_form: ReadingForm | None = None
) -> dict[str, Any]:
    is_checked, is_refused = upload.state is UploadState.CHECKED, upload.state is UploadState.REFUSED
    has_refused_rows = bool(upload.n_refused) and upload.state in (
        UploadState.CHECKED,
        UploadState.APPLIED,
        UploadState.FAILED,
    )
    cells = headers.cells_of(upload) if is_checked else []
    earlier = deciding.same_file_applied(upload) if is_checked else None
    readings = previews.readings(upload) if is_refused else []
    samples = {
        outcome: previews.first_rows(upload, outcome) for outcome in OUTCOME_WORDS if is_checked and upload.n_rows
    }
    refused = None
    if has_refused_rows:
        columns = [(UploadRow.row_number, "asc")]
        refused = keyset_page(history.refused_rows(upload), columns, request.args, REFUSED_PER_PAGE)
    return {
        "upload": upload,
        "is_live": upload.state in LIVE,
        "live_url": url_for(".live", upload_id=upload.id, page=request.args.get("page") or None),
        "replaced": history.replaced_by(upload),
        "percent": percent_of(upload),
        "kind_word": KIND_WORDS[upload.kind],
        "mode_words": MODE_WORDS,
        "state_words": STATE_WORDS,
        "size": size_words(upload.n_bytes),
        "encodings": ENCODINGS,
        "delimiters": DELIMITERS,
        "ignored": headers.ignored(upload, cells) if cells else [],
        "earlier": earlier,
        "samples": {outcome: rows for outcome, rows in samples.items() if rows},
        "outcome_words": OUTCOME_WORDS,
        "n_of": {
            RowOutcome.NEW: upload.n_new,
            RowOutcome.CHANGED: upload.n_changed - upload.n_big_changes,
            RowOutcome.BIG_CHANGE: upload.n_big_changes,
            RowOutcome.UNCHANGED: upload.n_unchanged,
        },
        "refused": refused,
        "refused_cells": previews.cells_of_refused(upload, refused.items) if refused else {},
        "readings": readings,
        "apply_form": apply_form or _apply_form(upload, earlier),
        "reading_form": reading_form or ReadingForm.of(upload, readings[0].encoding if readings else ""),
        "may_read_again": deciding.may_be_read_again(upload),
        "may_try_again": deciding.may_be_tried_again(upload),
        "may_discard": upload.state in deciding.UNDECIDED
        or (upload.state is UploadState.FAILED and not upload.n_applied and bool(upload.sha256)),
    }
