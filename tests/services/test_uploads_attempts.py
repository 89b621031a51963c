"""Who works on an upload: one worker at a time, the next one where it died, and a person's word before anything."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from flexdash import clock
from flexdash.database import transaction
from flexdash.extensions import db
from flexdash.models import ConfigEvent, Listing, RowOutcome, Upload, UploadChunk, UploadRow, UploadState
from flexdash.services.actors import Actor
from flexdash.services.errors import FieldRefused, NotAllowed, NotVisible, ServiceError
from flexdash.services.run_context import HandBack, Superseded
from flexdash.services.uploads import applying, attempts, checking, cleaning, deciding, reading, staging, working
from tests import factories
from tests.support.uploads import applied, catalog, checked, counts, fresh, hand_in, many_listings, work

LOST_AFTER = timedelta(seconds=45)


@pytest.fixture
def store(seller):
    return factories.make_store(seller, name="Pune Store")


@pytest.fixture
def actor(workspace):
    return factories.make_actor(factories.make_user(workspace, name="Asha"))


@pytest.fixture
def small_pieces(monkeypatch):
    """Files of a hundred rows are read and applied in several transactions."""
    monkeypatch.setattr(reading, "ROWS_PER_BATCH", 1)
    monkeypatch.setattr(staging, "ROWS_AT_ONCE", 10)
    monkeypatch.setattr(applying, "_FIRST_PIECE", 10)
    monkeypatch.setattr(applying, "_SMALLEST_PIECE", 10)


def n_listings() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(Listing.id)))


def n_events() -> int:
    db.session.rollback()
    return db.session.scalar(select(func.count(ConfigEvent.id)))


def pass_time() -> None:
    """Let so much time go by that whoever works on an upload counts as lost."""
    with transaction() as session:
        for upload in session.scalars(select(Upload).where(Upload.heartbeat_at.is_not(None))):
            upload.heartbeat_at = clock.now() - LOST_AFTER * 2


def take_up(max_attempts: int = 5) -> list[int]:
    return attempts.take_up_lost(clock.now(), LOST_AFTER, max_attempts)


# Claims ---------------------------------------------------------------------------------------------------------------


def test_of_several_workers_one_gets_it(app, store, actor) -> None:
    upload_id = hand_in(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    db.session.rollback()
    start, got = threading.Barrier(4), []

    def claim():
        with app.app_context():
            start.wait(10)
            got.append(attempts.claim(upload_id))

    threads = [threading.Thread(target=claim) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sum(attempt is not None for attempt in got) == 1


def test_a_double_click_applies_once(app, store, actor) -> None:
    upload = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    upload_id = upload.id
    db.session.rollback()
    start, said = threading.Barrier(3), []

    def click():
        with app.app_context():
            start.wait(10)
            said.append(deciding.accept(actor, upload_id))

    threads = [threading.Thread(target=click) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(said) == [False, False, True]
    before = n_events()
    work(upload_id)
    assert attempts.claim(upload_id) is None
    assert not deciding.accept(actor, upload_id)
    assert work(upload_id).state is UploadState.APPLIED
    assert n_listings() == 1
    assert n_events() == before + 1


def test_waiting_uploads_are_found_with_redis_wiped(store, actor) -> None:
    upload_id = hand_in(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    assert attempts.waiting() == [upload_id]
    work(upload_id)
    assert attempts.waiting() == []
    deciding.accept(actor, upload_id)
    assert attempts.waiting() == [upload_id]
    work(upload_id)
    assert attempts.waiting() == []


def test_a_newer_file_is_checked_after_the_older_one_is_applied(store, actor) -> None:
    first = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    deciding.accept(actor, first.id)
    second = hand_in(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    assert attempts.waiting() == [first.id]
    assert attempts.claim(second) is None
    work(first.id)
    assert counts(work(second)) == (0, 0, 1, 0)


def test_one_file_at_a_time_is_applied_to_a_place(store, actor) -> None:
    first = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    second_id = hand_in(actor, factories.make_store(store.seller), catalog("TEE,B0TESTTEE1,Tee"))
    work(second_id)
    deciding.accept(actor, first.id)
    assert deciding.accept(actor, second_id)  # another store's file does not wait
    third = another_like(first)
    with pytest.raises(ServiceError) as refusal:
        deciding.accept(actor, third.id)
    assert "is being applied to the same place" in refusal.value.sentence


def test_a_file_is_not_taken_up_again_while_another_one_has_its_place(store, actor) -> None:
    upload = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    give_up(actor, upload.id)
    other = factories.make_upload(store, UploadState.APPLYING, id=upload.id - 1, file_name="summer.csv")
    with pytest.raises(ServiceError) as refusal:
        deciding.try_again(actor, upload.id)
    assert refusal.value.sentence.startswith("“summer.csv” is being applied to the same place")
    assert fresh(upload.id).state is UploadState.FAILED
    other.state = UploadState.APPLIED
    db.session.commit()
    deciding.try_again(actor, upload.id)
    assert work(upload.id).state is UploadState.APPLIED


@pytest.mark.parametrize("state", [UploadState.RECEIVED, UploadState.APPLYING, UploadState.DISCARDED])
@pytest.mark.parametrize("was_accepted", [True, False])
def test_a_file_whose_place_a_newer_one_took_is_not_taken_up_again(store, actor, state, was_accepted) -> None:
    upload_id = hand_in(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    if was_accepted:
        work(upload_id)
        give_up(actor, upload_id)
    else:
        applying.fail(working.begin(upload_id), "The disk is full.")
    factories.make_upload(factories.make_store(store.seller), state)  # another place
    factories.make_upload(store, UploadState.FAILED, sha256="")  # never arrived
    assert deciding.may_be_tried_again(fresh(upload_id))
    factories.make_upload(store, state, file_name="winter.csv")
    assert not deciding.may_be_tried_again(fresh(upload_id))
    with pytest.raises(ServiceError) as refusal:
        deciding.try_again(actor, upload_id)
    assert refusal.value.sentence.startswith("A newer file, “winter.csv”, took the place of this one")
    assert fresh(upload_id).state is UploadState.FAILED
    assert cleaning.to_clean() == [upload_id]


def give_up(actor: Actor, upload_id: int) -> None:
    """Accept the file and give it up before its first row."""
    deciding.accept(actor, upload_id)
    applying.fail(working.begin(upload_id), "The worker stopped without a word.")


def another_like(upload: Upload) -> Upload:
    values = {name: getattr(upload, name) for name in ("workspace_id", "seller_id", "store_id", "kind", "n_bytes")}
    other = Upload(
        **values, file_name="other.csv", sha256="x", uploaded_by_name="Asha", state=UploadState.CHECKED, n_new=1
    )
    db.session.add(other)
    db.session.commit()
    return other


# Death ----------------------------------------------------------------------------------------------------------------


class Died(BaseException):
    """What a kill is to the code it hits: nothing after it runs."""


@pytest.mark.parametrize("n_transactions", [1, 2, 3, 6, 9])
def test_a_check_that_dies_begins_anew(store, actor, small_pieces, monkeypatch, n_transactions) -> None:
    factories.make_listing(store, "SKU-3", "B000000003", name="Item 3")
    rows = [*many_listings(40), "SKU-7,B000000007,Again", "SKU-90,bad,x"]
    upload_id = hand_in(actor, store, catalog(*rows))
    die_after(monkeypatch, n_transactions)
    with pytest.raises(Died):
        working.work(working.begin(upload_id))
    monkeypatch.undo()
    assert fresh(upload_id).state is UploadState.CHECKING
    assert attempts.claim(upload_id) is None
    pass_time()
    assert take_up() == []
    upload = work(upload_id)
    assert upload.state is UploadState.CHECKED
    assert counts(upload) == (39, 0, 1, 2)
    assert db.session.scalar(select(func.count()).where(UploadRow.upload_id == upload_id)) == 43


@pytest.mark.parametrize("n_transactions", range(1, 7))
def test_an_application_that_dies_goes_on_where_it_was(store, actor, small_pieces, monkeypatch, n_transactions) -> None:
    upload = checked(actor, store, catalog(*many_listings(40)))
    deciding.accept(actor, upload.id)
    before = n_events()
    die_after(monkeypatch, n_transactions)
    with pytest.raises(Died):
        working.work(working.begin(upload.id))
    monkeypatch.undo()
    n_in = n_listings()
    assert n_in == min(10 * (n_transactions - 1), 40)
    assert fresh(upload.id).n_applied == n_in
    pass_time()
    assert take_up() == []
    upload = work(upload.id)
    assert (upload.state, counts(upload)) == (UploadState.APPLIED, (40, 0, 0, 0))
    assert n_listings() == 40
    assert set(db.session.scalars(select(Listing.version))) == {1}
    assert n_events() == before + 1


def die_after(monkeypatch, n_transactions: int) -> None:
    """Let the worker die in the middle of its transaction number `n_transactions`."""
    check_in, n_begun = attempts.Attempt.check_in, 0

    def dying(attempt, executor, **values):
        nonlocal n_begun
        n_begun += 1
        check_in(attempt, executor, **values)
        if n_begun == n_transactions:
            raise Died

    monkeypatch.setattr(attempts.Attempt, "check_in", dying)


@pytest.mark.parametrize("step", ["check", "apply"])
def test_a_worker_that_was_given_up_writes_nothing_any_more(store, actor, small_pieces, step) -> None:
    upload_id = hand_in(actor, store, catalog(*many_listings(30)))
    if step == "apply":
        work(upload_id)
        deciding.accept(actor, upload_id)
    late = working.begin(upload_id)
    pass_time()
    take_up()
    other = working.begin(upload_id)
    assert other.number == 2
    with pytest.raises(Superseded):
        working.work(late)
    db.session.rollback()
    assert n_listings() == 0
    working.work(other)
    upload = fresh(upload_id)
    assert (upload.state, upload.n_new) == (UploadState.APPLIED if step == "apply" else UploadState.CHECKED, 30)


def test_a_file_put_aside_while_it_is_checked_is_left(store, actor, small_pieces) -> None:
    upload_id = hand_in(actor, store, catalog(*many_listings(30)))
    attempt = working.begin(upload_id)
    deciding.discard(actor, upload_id)
    with pytest.raises(Superseded):
        working.work(attempt)
    assert fresh(upload_id).state is UploadState.DISCARDED


def test_a_worker_that_is_asked_to_stop_hands_back(store, actor, small_pieces) -> None:
    upload = checked(actor, store, catalog(*many_listings(30)))
    deciding.accept(actor, upload.id)
    n_asked = iter(range(100))
    attempt = working.begin(upload.id, lambda: next(n_asked) >= 2)
    with pytest.raises(HandBack):
        working.work(attempt)
    attempts.hand_back(attempt)
    upload = fresh(upload.id)
    assert (upload.state, upload.n_attempts, upload.n_applied) == (UploadState.ACCEPTED, 0, 20)
    assert work(upload.id).state is UploadState.APPLIED
    assert n_listings() == 30


def test_after_several_deaths_it_is_given_up_and_can_be_tried_again(store, actor, small_pieces, monkeypatch) -> None:
    upload = checked(actor, store, catalog(*many_listings(30)))
    deciding.accept(actor, upload.id)
    die_after(monkeypatch, 2)
    with pytest.raises(Died):
        working.work(working.begin(upload.id))
    monkeypatch.undo()
    pass_time()
    assert take_up(max_attempts=1) == [upload.id]
    before = n_events()
    applying.fail(attempts.of_lost(upload.id, clock.now(), LOST_AFTER), "The worker stopped without a word.")
    upload = fresh(upload.id)
    assert (upload.state, upload.error_sentence) == (UploadState.FAILED, "The worker stopped without a word.")
    event = db.session.scalars(select(ConfigEvent).order_by(ConfigEvent.id.desc())).first()
    assert event.sentence.endswith("applied the catalog file “autumn.csv” to Pune Store in part: its first 10 rows")
    assert n_events() == before + 1
    assert deciding.may_be_tried_again(upload)
    deciding.try_again(actor, upload.id)
    assert work(upload.id).state is UploadState.APPLIED
    assert n_listings() == 30


def test_a_failed_check_is_tried_again_from_its_beginning(store, actor) -> None:
    upload_id = hand_in(actor, store, catalog(*many_listings(3)))
    attempt = working.begin(upload_id)
    applying.fail(attempt, "The database's disk is full.")
    before = n_events()
    deciding.try_again(actor, upload_id)
    assert work(upload_id).state is UploadState.CHECKED
    assert n_events() == before


# A person's word ------------------------------------------------------------------------------------------------------


def test_support_and_strangers_decide_nothing(workspace, store, actor) -> None:
    upload = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    support = factories.make_actor(factories.make_user(workspace, "support"))
    elsewhere = factories.make_actor(factories.make_user(factories.make_workspace()))
    limited = factories.make_actor(factories.make_user(workspace, sellers=[factories.make_seller(workspace)]))

    def decisions(who: Actor):
        yield lambda: deciding.accept(who, upload.id)
        yield lambda: deciding.read_again(who, upload.id, encoding="utf-8", delimiter=",")
        yield lambda: deciding.try_again(who, upload.id)
        yield lambda: deciding.discard(who, upload.id)
        yield lambda: hand_in(who, store, b"x")

    for who, refusal in ((support, NotAllowed), (elsewhere, NotVisible), (limited, NotVisible)):
        for decide in decisions(who):
            with pytest.raises(refusal):
                decide()
    assert fresh(upload.id).state is UploadState.CHECKED


def test_what_changes_nothing_is_not_applied(store, actor) -> None:
    upload = checked(actor, store, catalog("TEE,bad,Tee"))
    with pytest.raises(ServiceError) as refusal:
        deciding.accept(actor, upload.id)
    assert "nothing to apply" in refusal.value.sentence


def test_a_newer_file_puts_an_undecided_one_aside(store, actor) -> None:
    first = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    elsewhere = checked(actor, factories.make_store(store.seller), catalog("TEE,B0TESTTEE1,Tee"))
    prices = checked(actor, store, b"sku_code,selling_price\nTEE,1\n", "prices")
    stock = checked(actor, store.seller, b"hub_code,sku_code,quantity\nX,TEE,1\n", "stock")
    hand_in(actor, store, catalog("TEE,B0TESTTEE1,Tee"), name="winter.csv")
    first = fresh(first.id)
    assert first.state is UploadState.DISCARDED
    assert first.error_sentence == "A newer file, “winter.csv”, took its place before this one was applied."
    for other in (elsewhere, prices, stock):
        assert fresh(other.id).state is UploadState.CHECKED
    with pytest.raises(ServiceError):
        deciding.accept(actor, first.id)
    work(first.id)
    left = select(func.count()).select_from(UploadRow).where(UploadRow.upload_id == first.id)
    assert db.session.scalar(left) == 0
    assert db.session.scalar(select(func.count()).where(UploadChunk.upload_id == first.id)) == 0


def test_a_newer_file_leaves_one_that_cannot_be_used_with_its_reason(store, actor) -> None:
    useless = checked(actor, store, catalog("TEE", header="sku_code"))
    sentence = useless.error_sentence
    newer = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    assert newer.took_place_of_id is None
    assert (fresh(useless.id).state, fresh(useless.id).error_sentence) == (UploadState.REFUSED, sentence)
    with pytest.raises(ServiceError):  # else two files would wait in one place
        deciding.read_again(actor, useless.id, encoding="utf-8", delimiter=",")
    assert cleaning.to_clean() == [useless.id]
    last = checked(actor, store, catalog("MUG", header="sku_code"))
    assert last.took_place_of_id == newer.id
    assert cleaning.put_forgotten_aside(clock.now() + timedelta(days=31)) == 0
    assert fresh(last.id).state is UploadState.REFUSED


def test_putting_aside_is_said_once(store, actor) -> None:
    upload = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    assert deciding.discard(actor, upload.id)
    assert not deciding.discard(actor, upload.id)
    assert fresh(upload.id).error_sentence == "Asha put it aside."
    other = applied(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    with pytest.raises(ServiceError):
        deciding.discard(actor, other.id)


def test_only_known_encodings_and_delimiters_are_read_with(store, actor) -> None:
    upload = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    for encoding, delimiter in (("rot13", ","), ("idna", ""), ("utf-8", "|"), ("utf-8", ",,")):
        with pytest.raises(FieldRefused):
            deciding.read_again(actor, upload.id, encoding=encoding, delimiter=delimiter)


def test_an_applied_file_cannot_be_read_again(store, actor) -> None:
    upload = applied(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    with pytest.raises(ServiceError):
        deciding.read_again(actor, upload.id, encoding="utf-8", delimiter=",")
    with pytest.raises(ServiceError):
        deciding.try_again(actor, upload.id)


def test_the_same_file_again_is_recognised(store, actor) -> None:
    content = catalog("TEE,B0TESTTEE1,Tee")
    first = applied(actor, store, content)
    again = checked(actor, store, content)
    earlier = deciding.same_file_applied(again)
    assert (earlier.upload.id, earlier.needs_consent) == (first.id, False)
    assert deciding.same_file_applied(checked(actor, factories.make_store(store.seller), content)) is None


# Cleaning -------------------------------------------------------------------------------------------------------------


def test_cleaning_that_dies_is_done_by_the_next_tick(store, actor, small_pieces, monkeypatch) -> None:
    upload = checked(actor, store, catalog(*many_listings(30)))
    deciding.discard(actor, upload.id)
    writing, n_begun = staging.writing, iter(range(100))

    def dying(connection):
        if next(n_begun) == 2:
            raise Died
        return writing(connection)

    monkeypatch.setattr(staging, "writing", dying)
    with pytest.raises(Died):
        cleaning.clean(upload.id)
    monkeypatch.undo()
    assert cleaning.to_clean() == [upload.id]
    cleaning.clean(upload.id)
    assert cleaning.to_clean() == []
    assert db.session.scalar(select(func.count(UploadRow.row_number))) == 0


def test_what_still_has_a_use_is_not_deleted(store, actor) -> None:
    upload = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    cleaning.clean(upload.id)
    assert fresh(upload.id).state is UploadState.CHECKED
    assert db.session.scalar(select(func.count(UploadRow.row_number))) == 2
    assert cleaning.to_clean() == []


def test_a_file_nobody_decides_on_is_put_aside_after_a_month(store, actor) -> None:
    upload = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    assert cleaning.put_forgotten_aside(clock.now() + timedelta(days=29)) == 0
    assert cleaning.put_forgotten_aside(clock.now() + timedelta(days=31)) == 1
    assert fresh(upload.id).state is UploadState.DISCARDED
    assert cleaning.to_clean() == [upload.id]


def test_a_file_that_never_arrived_whole_says_so_and_goes(store, actor, monkeypatch) -> None:
    from flexdash.services.uploads import receiving

    monkeypatch.setattr(receiving, "CHUNK", 10)
    monkeypatch.setattr(receiving, "_CHUNKS_AT_ONCE", 1)
    monkeypatch.setattr(receiving, "_put_older_aside", lambda *_: (_ for _ in ()).throw(Died))
    with pytest.raises(Died):
        hand_in(actor, store, catalog("TEE,B0TESTTEE1,Tee"))
    monkeypatch.undo()
    db.session.rollback()
    upload = db.session.scalars(select(Upload)).one()
    assert upload.state is UploadState.FAILED
    assert upload.error_sentence.startswith("The file did not arrive whole")
    assert not deciding.may_be_tried_again(upload)
    assert cleaning.to_clean() == []
    upload.uploaded_at = clock.now() - timedelta(hours=2)
    db.session.commit()
    assert cleaning.to_clean() == [upload.id]
    cleaning.clean(upload.id)
    assert db.session.scalar(select(func.count(UploadChunk.position))) == 0


def test_counts_are_those_of_the_rows(store, actor) -> None:
    upload = checked(actor, store, catalog("TEE,B0TESTTEE1,Tee", "MUG,bad,Mug"))
    with db.engine.connect() as connection:
        assert checking.count_outcomes(connection, upload.id)["n_refused"] == 1
    assert {RowOutcome.NEW, RowOutcome.REFUSED} == set(
        db.session.scalars(select(UploadRow.outcome).where(UploadRow.outcome.is_not(None)))
    )


def test_a_file_is_in_the_configuration_log_from_when_it_comes_in_whatever_becomes_of_it(store, actor) -> None:
    upload = checked(actor, store, catalog("TEE", header="sku_code"))
    assert upload.state is UploadState.REFUSED
    event = db.session.scalars(select(ConfigEvent).order_by(ConfigEvent.id.desc())).first()
    assert event.sentence == "Asha uploaded the catalog file “autumn.csv” for Pune Store, to be checked"
    assert (event.actor_name, event.store_id, event.new_value["upload_id"]) == ("Asha", store.id, upload.id)
