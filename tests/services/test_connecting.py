"""From the consent page's address to a connected store, against the sandbox over real HTTP."""

import threading
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest
import respx
from httpx import ConnectError, ReadTimeout, Response
from sqlalchemy import func, select

from flexdash import clock
from flexdash.extensions import db, redis_client, vault
from flexdash.models import ApiCall, AuthorizationAttempt, ConfigEvent, Role, Store, StoreStatus, UserSession
from flexdash.services import connecting, disconnecting, stores
from flexdash.services.authorization import Outcome, ReturnRefused
from flexdash.services.connecting import AmazonAnswer
from flexdash.services.errors import FieldRefused, NotAllowed, NotVisible
from tests.factories import make_actor, make_seller, make_store, make_user, make_workspace, number

INDIA, UAE = "A3SBXSUNRISEIN", "A3SBXNOVAHOMAE"


@pytest.fixture
def asha(workspace):
    return make_actor(make_user(workspace, name="Asha"))


@pytest.fixture
def draft(seller):
    return make_store(seller, "draft", name="Pune")


def session_of(actor) -> int:
    row = UserSession(user_id=actor.user_id, token_hash=f"h{number()}", expires_at=clock.now() + timedelta(hours=12))
    db.session.add(row)
    db.session.commit()
    return row.id


@pytest.fixture
def session_id(asha):
    return session_of(asha)


@pytest.fixture
def come_back(sandbox, settings, asha, session_id):
    """Goes to Amazon for a store and comes back; further values replace those of Amazon's return."""

    def go(store, account=INDIA, actor=asha, session=session_id, **answer):
        state = state_of(connecting.begin(actor, session, store.id))
        code = sandbox.control.issue_code(settings.amazon_redirect_uri, account)
        values = {"state": state, "code": code, "amazon_selling_partner_id": account} | answer
        return connecting.finish(actor, session, AmazonAnswer(**values))

    return go


def state_of(url: str) -> str:
    return parse_qs(urlsplit(url).query)["state"][0]


def log_of(workspace) -> list[ConfigEvent]:
    db.session.rollback()
    query = select(ConfigEvent).where(ConfigEvent.workspace_id == workspace.id).order_by(ConfigEvent.sequence)
    return list(db.session.scalars(query))


def fresh(store) -> Store:
    db.session.rollback()
    return db.session.get(Store, store.id, populate_existing=True)


def assert_untouched(workspace, store) -> None:
    """Nothing half-connected: the draft is there as before, and no token of any kind is kept."""
    row = fresh(store)
    assert (row.status, row.name) == (StoreStatus.DRAFT, "Pune")
    assert (row.amazon_selling_partner_id, row.refresh_token_encrypted, row.authorized_at) == (None, None, None)
    assert log_of(workspace) == []


# Going ----------------------------------------------------------------------------------------------------------------


def test_the_consent_address_carries_our_state_and_return_address(settings, asha, session_id, draft) -> None:
    parts = urlsplit(connecting.begin(asha, session_id, draft.id))
    assert f"{parts.scheme}://{parts.netloc}" == settings.amazon_seller_central_url == connecting.consent_origin(draft)
    assert parts.path == "/apps/authorize/consent"
    query = parse_qs(parts.query)
    assert query["application_id"] == [settings.amazon_application_id]
    assert query["redirect_uri"] == [settings.amazon_redirect_uri]
    assert len(query["state"][0]) == 43


def test_a_draft_without_a_free_name_does_not_go(asha, session_id, seller) -> None:
    nameless = make_store(seller, "draft")
    nameless.name = ""
    db.session.commit()
    with pytest.raises(FieldRefused):
        connecting.begin(asha, session_id, nameless.id)
    make_store(seller, name="Taken")
    with pytest.raises(FieldRefused, match="Taken"):
        connecting.begin(asha, session_id, make_store(seller, "disconnected", name="Taken").id)
    assert db.session.scalar(select(func.count(AuthorizationAttempt.id))) == 0


def test_support_and_strangers_do_not_go(workspace, seller, draft) -> None:
    support = make_actor(make_user(workspace, Role.SUPPORT))
    with pytest.raises(NotAllowed):
        connecting.begin(support, session_of(support), draft.id)
    for stranger in (
        make_actor(make_user(make_workspace())),
        make_actor(make_user(workspace, sellers=[make_seller(workspace)])),
    ):
        with pytest.raises(NotVisible):
            connecting.begin(stranger, session_of(stranger), draft.id)


def test_login_first_leads_back_to_amazon_only(settings, asha, session_id, draft) -> None:
    at_amazon = f"{settings.amazon_seller_central_url}/apps/authorize/confirm/app"
    for address in (at_amazon, "https://sellercentral.amazon.in/apps/authorize/confirm/app"):
        url = connecting.begin_login_first(asha, session_id, draft.id, address, "their state")
        assert url.startswith(address + "?")
        query = parse_qs(urlsplit(url).query)
        assert (query["amazon_state"], query["redirect_uri"]) == (["their state"], [settings.amazon_redirect_uri])
        assert len(query["state"][0]) == 43
    for address in (
        "",
        "https://evil.example/apps",
        "https://sellercentral.amazon.in.evil.example/",
        "https://sellercentral.amazon.in@evil.example/",
        "http://sellercentral.amazon.in/",
        "javascript:alert(1)",
        "//evil.example",
    ):
        with pytest.raises(connecting.UntrustedAddress):
            connecting.begin_login_first(asha, session_id, draft.id, address, "their state")


# Coming back ----------------------------------------------------------------------------------------------------------


def test_a_return_connects_the_store_and_logs_it(workspace, draft, come_back) -> None:
    before = clock.now()
    connected = come_back(draft)
    assert (connected.store_id, connected.is_first_time, connected.note) == (draft.id, True, "")
    store = fresh(draft)
    assert (store.status, store.amazon_selling_partner_id, store.currency) == (StoreStatus.CONNECTED, INDIA, "INR")
    assert store.authorized_at >= before
    assert store.connected_at == store.authorized_at
    assert store.authorization_expires_at - store.authorized_at == timedelta(days=365)
    assert {store.is_order_sync_on, store.is_inventory_sync_on} == {False}
    token = vault.decrypt(store.refresh_token_encrypted)
    assert token.startswith("Atzr|")
    assert token.encode() not in store.refresh_token_encrypted
    (event,) = log_of(workspace)
    assert event.sentence == f"Asha connected Pune (India) as the Amazon account {INDIA}"
    assert (event.section, event.store_id, event.old_value) == ("Connection", draft.id, {"status": "draft"})
    assert "Atz" not in str((event.new_value, event.sentence, event.reason))
    (attempt,) = db.session.scalars(select(AuthorizationAttempt)).all()
    assert attempt.outcome == "connected"
    calls = db.session.scalars(select(ApiCall).order_by(ApiCall.id)).all()
    assert [call.operation for call in calls] == ["exchangeCode", "refreshToken", "getMarketplaceParticipations"]
    assert {call.store_id for call in calls} == {draft.id}


def test_no_token_is_readable_in_redis(draft, come_back) -> None:
    come_back(draft)
    kept = [redis_client.dump(key) for key in redis_client.scan_iter()]
    assert kept
    assert not any(b"Atza|" in value or b"Atzr|" in value for value in kept)


def test_the_currency_is_amazons_word(draft, come_back) -> None:
    draft.currency = "XXX"
    db.session.commit()
    come_back(draft)
    assert fresh(draft).currency == "INR"


@pytest.mark.parametrize("fault", ["error_500", "throttle", "html_instead_of_json", "access_denied"])
def test_a_grant_is_not_lost_because_amazon_cannot_say_where_the_account_sells(
    monkeypatch, workspace, sandbox, draft, come_back, fault
) -> None:
    monkeypatch.setattr("flexdash.amazon.transport.Transport._pause", lambda *_: None)
    sandbox.control.fault(fault, operation="getMarketplaceParticipations")
    connected = come_back(draft)
    assert "could not be asked" in connected.note
    store = fresh(draft)
    assert (store.status, store.currency) == (StoreStatus.CONNECTED, "INR")
    assert log_of(workspace)[0].reason == connected.note


def refused(outcome: Outcome, go, *args, **kwargs) -> ReturnRefused:
    with pytest.raises(ReturnRefused) as refusal:
        go(*args, **kwargs)
    assert refusal.value.outcome is outcome
    attempts = db.session.scalars(select(AuthorizationAttempt).order_by(AuthorizationAttempt.id.desc())).all()
    if refusal.value.store_id and outcome not in (Outcome.STATE_USED, Outcome.OTHER_SESSION):
        assert attempts[0].outcome == outcome.value
        assert attempts[0].reference == refusal.value.reference
    return refusal.value


def test_denied_at_amazon(workspace, draft, come_back) -> None:
    refused(Outcome.DENIED, come_back, draft, code="", error="access_denied", error_description="no")
    assert_untouched(workspace, draft)


@pytest.mark.parametrize(
    "lacking",
    [
        {"code": ""},
        {"amazon_selling_partner_id": ""},
        {"amazon_selling_partner_id": "<script>"},
        {"amazon_selling_partner_id": "A" * 41},
        {"error": "server_error"},
    ],
)
def test_an_incomplete_return(workspace, draft, come_back, lacking) -> None:
    refused(Outcome.INCOMPLETE, come_back, draft, **lacking)
    assert_untouched(workspace, draft)


def test_a_code_amazon_does_not_accept(workspace, draft, come_back) -> None:
    refusal = refused(Outcome.CODE_REFUSED, come_back, draft, code="made-up")
    assert "invalid_grant" in refusal.detail
    assert_untouched(workspace, draft)
    (call,) = db.session.scalars(select(ApiCall)).all()
    assert (call.operation, call.error_code) == ("exchangeCode", "invalid_grant")


def test_an_app_amazon_does_not_accept(workspace, sandbox, draft, come_back) -> None:
    sandbox.control.fault("invalid_client")
    refused(Outcome.APP_REFUSED, come_back, draft)
    assert_untouched(workspace, draft)


@pytest.mark.parametrize(
    "answer",
    [
        ReadTimeout("too slow"),
        Response(500, json={"error": "server_error"}),
        Response(503, text="<html>busy</html>"),
        Response(200, text="<html>not JSON</html>"),
        Response(200, json={"access_token": "Atza|x", "token_type": "bearer"}),
        Response(429, json={}),
    ],
)
def test_a_token_service_that_cannot_be_reached(workspace, settings, asha, session_id, draft, answer) -> None:
    state = state_of(connecting.begin(asha, session_id, draft.id))
    with respx.mock:
        route = respx.post(settings.amazon_lwa_url).mock(
            **({"side_effect": answer} if isinstance(answer, Exception) else {"return_value": answer})
        )
        refused(
            Outcome.UNREACHABLE,
            connecting.finish,
            asha,
            session_id,
            AmazonAnswer(state=state, code="code", amazon_selling_partner_id=INDIA),
        )
        assert route.call_count == 1  # a code counts once: it is not sent again
    assert_untouched(workspace, draft)


def test_a_token_service_that_refuses_the_connection(workspace, settings, asha, session_id, draft, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _seconds: None)
    state = state_of(connecting.begin(asha, session_id, draft.id))
    with respx.mock:
        respx.post(settings.amazon_lwa_url).mock(side_effect=ConnectError("refused"))
        answer = AmazonAnswer(state=state, code="code", amazon_selling_partner_id=INDIA)
        refused(Outcome.UNREACHABLE, connecting.finish, asha, session_id, answer)
    assert_untouched(workspace, draft)


def test_an_account_that_does_not_sell_in_the_country(workspace, draft, come_back) -> None:
    refusal = refused(Outcome.NOT_SELLING_HERE, come_back, draft, account=UAE)
    assert "AE" in refusal.detail
    assert_untouched(workspace, draft)


@pytest.mark.parametrize("fault", ["throttle", "error_500"])
def test_an_account_that_does_not_sell_there_is_not_connected_by_trying_again(
    workspace, draft, come_back, sandbox, monkeypatch, fault
) -> None:
    monkeypatch.setattr("flexdash.amazon.transport.Transport._pause", lambda *_: None)
    refused(Outcome.NOT_SELLING_HERE, come_back, draft, account=UAE)
    sandbox.control.fault(fault, operation="getMarketplaceParticipations")
    refused(Outcome.NOT_SELLING_HERE, come_back, draft, account=UAE)
    assert_untouched(workspace, draft)
    assert come_back(draft).note, "of another account nothing is known"


def test_an_account_that_is_connected_in_this_workspace(workspace, seller, draft, come_back) -> None:
    first = make_store(make_seller(workspace), amazon_selling_partner_id=INDIA)
    refusal = refused(Outcome.ALREADY_CONNECTED, come_back, draft)
    assert refusal.other_store_id == first.id
    assert_untouched(workspace, draft)


def test_the_same_account_may_be_connected_elsewhere(workspace, seller, draft, come_back) -> None:
    make_store(make_seller(make_workspace()), amazon_selling_partner_id=INDIA)
    make_store(seller, amazon_selling_partner_id=INDIA, country_code="AE")
    make_store(seller, "disconnected", amazon_selling_partner_id=INDIA)
    assert come_back(draft).is_first_time


def test_the_index_decides_when_two_drafts_take_one_account_at_once(
    workspace, seller, draft, come_back, monkeypatch
) -> None:
    make_store(make_seller(workspace), amazon_selling_partner_id=INDIA)
    monkeypatch.setattr(connecting, "_check_account", lambda *_: None)  # as if both had looked before either wrote
    refused(Outcome.ALREADY_CONNECTED, come_back, draft)
    assert_untouched(workspace, draft)


def test_re_authorizing_keeps_everything_but_the_token(workspace, seller, come_back) -> None:
    store = make_store(
        seller,
        "needs_reauthorization",
        name="Pune",
        amazon_selling_partner_id=INDIA,
        refresh_token="Atzr|old",
        is_order_sync_on=True,
        settings_version=7,
        connected_at=clock.now() - timedelta(days=300),
    )
    first_connected_at = store.connected_at
    connected = come_back(store)
    assert not connected.is_first_time
    row = fresh(store)
    assert (row.status, row.reauthorization_reason, row.settings_version) == (StoreStatus.CONNECTED, "", 7)
    assert row.is_order_sync_on
    assert row.connected_at == first_connected_at
    assert vault.decrypt(row.refresh_token_encrypted) != "Atzr|old"
    (event,) = log_of(workspace)
    assert event.sentence == f"Asha re-authorized Pune (India) with the Amazon account {INDIA}"


def test_re_authorizing_with_another_account_keeps_the_old_token(workspace, seller, come_back) -> None:
    store = make_store(seller, name="Pune", amazon_selling_partner_id=INDIA, refresh_token="Atzr|old")
    refused(Outcome.OTHER_ACCOUNT, come_back, store, account=UAE)
    row = fresh(store)
    assert (row.status, row.amazon_selling_partner_id) == (StoreStatus.CONNECTED, INDIA)
    assert vault.decrypt(row.refresh_token_encrypted) == "Atzr|old"
    assert log_of(workspace) == []
    assert db.session.scalar(select(func.count(ApiCall.id))) == 0  # the code was not even spent


def test_a_failed_re_authorization_leaves_the_store_at_work(sandbox, workspace, seller, come_back) -> None:
    store = make_store(seller, name="Pune", amazon_selling_partner_id=INDIA, refresh_token="Atzr|old")
    sandbox.control.fault("error_500", operation="token")
    refused(Outcome.UNREACHABLE, come_back, store)
    row = fresh(store)
    assert row.status is StoreStatus.CONNECTED
    assert vault.decrypt(row.refresh_token_encrypted) == "Atzr|old"


def test_reconnecting_a_disconnected_store(workspace, asha, seller, come_back) -> None:
    store = make_store(seller, name="Pune", amazon_selling_partner_id=INDIA, is_order_sync_on=True)
    disconnecting.disconnect(asha, store.id)
    refused(Outcome.OTHER_ACCOUNT, come_back, store, account=UAE)
    come_back(store)
    row = fresh(store)
    assert (row.status, row.disconnected_at) == (StoreStatus.CONNECTED, None)
    assert row.is_order_sync_on
    assert log_of(workspace)[-1].sentence == f"Asha reconnected Pune (India) with the Amazon account {INDIA}"


def test_amazon_returning_the_same_refused_token_again_is_asked_anew(sandbox, draft, come_back, asha) -> None:
    """Redis remembers for minutes that a refresh token was refused; a new consent ends that."""
    come_back(draft)
    store = fresh(draft)
    token = vault.decrypt(store.refresh_token_encrypted)
    stores.needs_reauthorization(store.id, "invalid_grant", refused_token=token)
    come_back(store)
    assert fresh(store).status is StoreStatus.CONNECTED


# The same return twice, and changes meanwhile -------------------------------------------------------------------------


def test_a_double_clicked_return_connects_once(app, sandbox, settings, workspace, asha, session_id, draft) -> None:
    state = state_of(connecting.begin(asha, session_id, draft.id))
    code = sandbox.control.issue_code(settings.amazon_redirect_uri, INDIA)
    answer = AmazonAnswer(state=state, code=code, amazon_selling_partner_id=INDIA)
    gate, outcomes = threading.Barrier(4), []

    def click() -> None:
        with app.app_context():
            gate.wait()
            try:
                outcomes.append(connecting.finish(asha, session_id, answer).store_id)
            except ReturnRefused as refusal:
                outcomes.append(refusal.outcome.value)

    threads = [threading.Thread(target=click) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes, key=str) == [draft.id, "state_used", "state_used", "state_used"]
    assert fresh(draft).status is StoreStatus.CONNECTED
    assert len(log_of(workspace)) == 1
    assert db.session.scalar(select(func.count(ApiCall.id)).where(ApiCall.operation == "exchangeCode")) == 1


def while_asking(monkeypatch, deed) -> None:
    """Runs `deed` after Amazon gave the tokens, before they are written."""
    asked = connecting._ask_amazon

    def ask(*args):
        answer = asked(*args)
        deed()
        return answer

    monkeypatch.setattr(connecting, "_ask_amazon", ask)


def test_a_draft_discarded_meanwhile_stays_discarded(monkeypatch, workspace, asha, draft, come_back) -> None:
    while_asking(monkeypatch, lambda: stores.discard_draft(asha, draft.id))
    with pytest.raises(ReturnRefused) as refusal:
        come_back(draft)
    assert (refusal.value.outcome, refusal.value.store_id) == (Outcome.WITHDRAWN, None)
    assert db.session.scalar(select(func.count(Store.id))) == 0


def test_a_draft_moved_to_another_country_meanwhile_is_not_connected(
    monkeypatch, workspace, asha, draft, come_back
) -> None:
    while_asking(monkeypatch, lambda: stores.change_country(asha, draft.id, "AE"))
    refused(Outcome.WITHDRAWN, come_back, draft)
    assert_untouched(workspace, draft)


def test_a_store_disconnected_meanwhile_stays_disconnected(monkeypatch, asha, seller, come_back) -> None:
    store = make_store(seller, name="Pune", amazon_selling_partner_id=INDIA)
    while_asking(monkeypatch, lambda: disconnecting.disconnect(asha, store.id))
    refused(Outcome.WITHDRAWN, come_back, store)
    row = fresh(store)
    assert (row.status, row.refresh_token_encrypted) == (StoreStatus.DISCONNECTED, None)


def test_answers_do_not_print_their_secrets() -> None:
    assert "secret" not in repr(AmazonAnswer(state="secret", code="secret"))
