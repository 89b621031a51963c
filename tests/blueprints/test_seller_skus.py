"""A seller's page: which of its SKUs have a listing, and in which store."""

import re

from flexdash.models import Role
from tests import factories


def test_each_sku_says_in_which_stores_catalog_it_is(workspace, seller, signed_in) -> None:
    admin = signed_in(factories.make_user(workspace, Role.ADMIN))
    for code in ("BOTH", "ONE", "NONE"):
        factories.make_sku(seller, code)
    pune, dubai = factories.make_store(seller, name="Pune Store"), factories.make_store(seller, name="Dubai <b>Store")
    other = factories.make_store(factories.make_seller(workspace), name="Another seller's")
    for store, code in ((pune, "BOTH"), (dubai, "BOTH"), (pune, "ONE"), (other, "NONE"), (pune, "none")):
        factories.make_listing(store, code)
    page = admin.get(f"/admin/sellers/{seller.id}/skus").text
    rows = dict(re.findall(r'<div class="cell">(BOTH|ONE|NONE)</div></th>(.*?)</tr>', page, re.DOTALL))
    assert f'href="/stores/{pune.id}/catalog?q=BOTH">Pune Store</a>' in rows["BOTH"]
    assert f'href="/stores/{dubai.id}/catalog?q=BOTH">Dubai &lt;b&gt;Store</a>' in rows["BOTH"]
    assert "Pune Store" in rows["ONE"]
    assert "Dubai" not in rows["ONE"]
    assert "Not on Amazon: no listing" in rows["NONE"]
    assert page.count("Not on Amazon: no listing") == 1
    assert "Another seller" not in page
