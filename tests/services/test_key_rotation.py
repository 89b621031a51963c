"""Rotating keys: everything ends under the newest key, nothing is lost, and changes made meanwhile win."""

import pytest
from cryptography.fernet import Fernet
from sqlalchemy import select, update

from flexdash.extensions import db
from flexdash.models import AlarmSettings, Order, OrderDocument, QuarantinedShipment, Store
from flexdash.services import key_rotation
from flexdash.vault import Vault
from tests.factories import make_document, make_order, make_seller, make_store, make_workspace

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


@pytest.fixture
def use_keys(app, monkeypatch):
    return lambda *keys: monkeypatch.setitem(app.extensions, "flexdash_vault", Vault(keys))


@pytest.fixture
def store(use_keys):
    """A store with three orders, one with its label, a quarantined shipment and a webhook, all under the old key."""
    use_keys(OLD)
    store = make_store(make_seller(make_workspace()), refresh_token="Atzr|one")
    for name in ("Priya", "Anil", "Zoya"):
        make_order(store, buyer=f'{{"name": "{name}"}}')
    make_document(make_order(store, buyer=None), content=b"%PDF-1.4 label")
    db.session.add(
        QuarantinedShipment(
            workspace_id=store.workspace_id,
            store_id=store.id,
            amazon_shipment_id="SHIP",
            error_sentence="It has no lines.",
            payload_encrypted=Vault([OLD]).encrypt("{}"),
        )
    )
    db.session.add(
        AlarmSettings(
            workspace_id=store.workspace_id,
            webhook_url_encrypted=Vault([OLD]).encrypt("https://hooks.company.example/"),
            webhook_secret_encrypted=Vault([OLD]).encrypt("fdwh_one"),
        )
    )
    db.session.commit()
    return store


def buyers():
    query = select(Order.buyer_encrypted).where(Order.buyer_encrypted.is_not(None)).order_by(Order.id)
    return [Vault([NEW]).decrypt(value) for value in db.session.scalars(query)]


def test_everything_opens_with_the_newest_key_alone_afterwards(store, use_keys):
    use_keys(NEW, OLD)
    counts = key_rotation.rotate()
    assert [(count.column, count.n_rotated) for count in counts] == [
        ("stores.refresh_token_encrypted", 1),
        ("orders.buyer_encrypted", 3),
        ("quarantined_shipments.payload_encrypted", 1),
        ("order_documents.content_encrypted", 1),
        ("alarm_settings.webhook_url_encrypted", 1),
        ("alarm_settings.webhook_secret_encrypted", 1),
    ]
    asked = db.session.scalars(select(AlarmSettings)).one()
    assert Vault([NEW]).decrypt(asked.webhook_url_encrypted) == "https://hooks.company.example/"
    assert Vault([NEW]).decrypt(asked.webhook_secret_encrypted) == "fdwh_one"
    assert Vault([NEW]).decrypt_bytes(db.session.scalar(select(OrderDocument.content_encrypted))) == b"%PDF-1.4 label"
    assert buyers() == ['{"name": "Priya"}', '{"name": "Anil"}', '{"name": "Zoya"}']
    assert Vault([NEW]).decrypt(db.session.scalar(select(Store.refresh_token_encrypted))) == "Atzr|one"
    assert Vault([NEW]).decrypt(db.session.scalar(select(QuarantinedShipment.payload_encrypted))) == "{}"


def test_a_second_run_passes_over_what_is_done(store, use_keys):
    use_keys(NEW, OLD)
    key_rotation.rotate()
    before = db.session.scalars(select(Order.buyer_encrypted).order_by(Order.id)).all()
    counts = key_rotation.rotate()
    assert [(count.n_rotated, count.n_current) for count in counts] == [(0, 1), (0, 3), *[(0, 1)] * 4]
    assert db.session.scalars(select(Order.buyer_encrypted).order_by(Order.id)).all() == before


def test_a_run_that_was_stopped_is_taken_up_again(store, use_keys, monkeypatch):
    use_keys(NEW, OLD)
    monkeypatch.setattr(key_rotation, "BATCH", 1)
    n_batches = 0

    def stop_after_three(_count):
        nonlocal n_batches
        n_batches += 1
        if n_batches == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        key_rotation.rotate(stop_after_three)
    counts = key_rotation.rotate()
    assert [(count.n_rotated, count.n_current) for count in counts] == [(0, 1), (1, 2), *[(1, 0)] * 4]
    assert buyers() == ['{"name": "Priya"}', '{"name": "Anil"}', '{"name": "Zoya"}']


def test_what_changes_between_reading_and_writing_is_not_overwritten(store, use_keys, monkeypatch):
    use_keys(NEW, OLD)
    ids = db.session.scalars(select(Order.id).where(Order.buyer_encrypted.is_not(None)).order_by(Order.id)).all()
    fresh = Vault([NEW]).encrypt('{"name": "Changed"}')
    real = Vault.rotate
    done = []

    def change_first(vault, token):
        if not done:
            done.append(True)
            with db.engine.begin() as connection:
                connection.execute(update(Store).values(refresh_token_encrypted=Vault([NEW]).encrypt("Atzr|two")))
                connection.execute(update(Order).where(Order.id == ids[0]).values(buyer_encrypted=fresh))
                connection.execute(update(Order).where(Order.id == ids[1]).values(buyer_encrypted=None))
        return real(vault, token)

    monkeypatch.setattr(Vault, "rotate", change_first)
    counts = key_rotation.rotate()
    assert Vault([NEW]).decrypt(db.session.scalar(select(Store.refresh_token_encrypted))) == "Atzr|two"
    assert buyers() == ['{"name": "Changed"}', '{"name": "Zoya"}']
    assert (counts[0].n_rotated, counts[0].n_current, counts[0].n_changed_meanwhile) == (0, 1, 0)


def test_what_no_key_opens_is_left_and_named(store, use_keys):
    broken = db.session.scalars(select(Order).order_by(Order.id)).first()
    broken.buyer_encrypted = Vault([Fernet.generate_key().decode()]).encrypt("lost")
    db.session.commit()
    before = bytes(broken.buyer_encrypted)
    use_keys(NEW, OLD)
    counts = key_rotation.rotate()
    assert counts[1].unreadable_ids == [broken.id]
    assert counts[1].n_rotated == 2
    db.session.expire_all()
    assert broken.buyer_encrypted == before
