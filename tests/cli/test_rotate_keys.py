"""`flexdash rotate-keys`: says what it did, and never calls it done when a value is left behind."""

from cryptography.fernet import Fernet
from sqlalchemy import select

from flexdash.cli.rotate_keys import command
from flexdash.extensions import db
from flexdash.models import Store
from flexdash.vault import Vault
from tests.factories import make_seller, make_store, make_workspace

OLD, NEW = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def test_it_reports_its_counts_and_that_old_keys_can_go(app, monkeypatch):
    monkeypatch.setitem(app.extensions, "flexdash_vault", Vault([OLD]))
    make_store(make_seller(make_workspace()), refresh_token="Atzr|one")
    monkeypatch.setitem(app.extensions, "flexdash_vault", Vault([NEW, OLD]))
    result = app.test_cli_runner().invoke(command)
    assert result.exit_code == 0, result.output
    assert "stores.refresh_token_encrypted: 1 encrypted anew, 0 under the newest key before" in result.output
    assert "can be removed from ENCRYPTION_KEYS" in result.output
    assert "Atzr" not in result.output
    db.session.rollback()
    assert Vault([NEW]).decrypt(db.session.scalar(select(Store.refresh_token_encrypted))) == "Atzr|one"


def test_it_fails_and_names_the_rows_that_no_key_opens(app, monkeypatch):
    monkeypatch.setitem(app.extensions, "flexdash_vault", Vault([OLD]))
    store = make_store(make_seller(make_workspace()))
    monkeypatch.setitem(app.extensions, "flexdash_vault", Vault([NEW]))
    result = app.test_cli_runner().invoke(command)
    assert result.exit_code == 1
    assert f"No key opens stores.refresh_token_encrypted of the rows with id {store.id}." in result.output
    assert "can be removed" not in result.output
