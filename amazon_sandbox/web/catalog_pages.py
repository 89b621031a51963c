"""What a merchant finds in Seller Central: the listings with their ASINs and prices, the feeds, and a catalog file."""

import csv
import io
from decimal import Decimal, InvalidOperation

from flask import Blueprint, Response, flash, make_response, redirect, render_template, request, url_for

from amazon_sandbox.web import guard
from amazon_sandbox.web.gate import config, world
from amazon_sandbox.world import accounts
from amazon_sandbox.world.accounts import Account
from amazon_sandbox.world.errors import ApiError
from amazon_sandbox.world.listings import Listing

SHOWN_LISTINGS = 500
SHOWN_FEEDS = 20
MAX_FURTHER = 200_000
COLUMNS = ("sku_code", "asin", "name", "barcode", "mrp", "weight_g", "length_cm", "width_cm", "height_cm")
blueprint = Blueprint("catalog", __name__)
blueprint.before_request(guard.refuse_other_machines)
blueprint.before_request(guard.refuse_other_origins)


@blueprint.get("/catalog")
def listings() -> Response:
    """The listings and feeds of one seller."""
    return _page()


@blueprint.post("/catalog/price")
def set_price() -> Response:
    """Changes a price at once, as the seller would in Seller Central."""
    account = _account(request.form.get("seller_id"))
    sku_code, text = request.form.get("sku_code", ""), request.form.get("price", "").strip()
    try:
        price = Decimal(text)
        if not price.is_finite() or price <= 0:
            raise InvalidOperation
        world().listings.set_price(account, sku_code, price)
    except InvalidOperation:
        return _page(f"“{text}” is no price: give an amount above 0, such as 499.00.")
    except KeyError:
        return _page(f"{sku_code or 'A SKU without a code'} is not listed.")
    flash(f"{sku_code} costs {price} {account.marketplace.currency} now.")
    return redirect(url_for(".listings", seller_id=account.selling_partner_id), 303)


@blueprint.post("/catalog/remove")
def remove() -> Response:
    """Takes a listing away, as the seller would in Seller Central."""
    account = _account(request.form.get("seller_id"))
    sku_code = request.form.get("sku_code", "")
    try:
        world().remove_listing(account, sku_code)
    except KeyError:
        return _page(f"{sku_code or 'A SKU without a code'} is not listed.")
    flash(f"{sku_code} has no listing any more.")
    return redirect(url_for(".listings", seller_id=account.selling_partner_id), 303)


@blueprint.post("/catalog/feeds/<feed_id>")
def end_feed(feed_id: str) -> Response:
    """Ends a feed that is not over."""
    try:
        feed = world().feeds.end(feed_id, request.form.get("status", ""))
    except ValueError as error:
        return _page(str(error))
    except ApiError as error:
        return _page(error.details)
    flash(f"Feed {feed.id} is {feed.status} now.")
    return redirect(url_for(".listings", seller_id=feed.seller_id), 303)


@blueprint.get("/catalog.csv")
def catalog_file() -> Response:
    """The seller's SKUs with their ASINs in the columns of a catalog upload, and as many further ones as asked for."""
    account = _account(request.args.get("seller_id"))
    asked = request.args.get("further", "").strip()
    n_further = int(asked) if asked.isdecimal() and len(asked) < 7 else 0
    found = [listing.sku_code for listing in world().listings.all(account)]
    codes = [*found, *(f"SBX-{n:06d}" for n in range(1, min(n_further, MAX_FURTHER) + 1))]
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(COLUMNS)
    for n, sku_code in enumerate(dict.fromkeys(codes)):
        listing = world().listings.get(account, sku_code)
        writer.writerow(_row(listing, n))
    name = f"catalog-{account.marketplace.country_code.lower()}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(buffer.getvalue(), mimetype="text/csv", headers=headers)


def _row(listing: Listing, n: int) -> list[object]:
    size = 5 + n % 40
    highest = listing.price("maximum_retail_price")
    barcode = f"200{n:010d}"  # the numbers shops use among themselves
    name = f"Sandbox article {listing.sku_code}"
    return [listing.sku_code, listing.asin, name, barcode, highest, 50 + n % 900, size + 10, size + 4, size]


def _account(seller_id: str | None) -> Account:
    return accounts.BY_ID.get(seller_id or "", accounts.ACCOUNTS[0])


def _page(error: str = "") -> Response:
    account = _account(request.values.get("seller_id"))
    found = world().listings.all(account)
    page = render_template(
        "control/catalog.html",
        config=config(),
        address=config().public_url or request.host_url.rstrip("/"),
        error=error,
        n_faults=len(world().faults.all()),
        accounts=accounts.ACCOUNTS,
        account=account,
        listings=found[:SHOWN_LISTINGS],
        n_listings=len(found),
        feeds=[_feed_row(feed) for feed in reversed(world().feeds.all(account.selling_partner_id)[-SHOWN_FEEDS:])],
        form=request.form,
    )
    return make_response(page, 400 if error else 200)


def _feed_row(feed) -> dict[str, object]:
    return {"feed": feed, "is_over": feed.status in ("DONE", "FATAL", "CANCELLED")}
