"""Adding, changing and deactivating people: what is refused, what is logged, and that one admin always stays."""

import threading

import pytest
from sqlalchemy import select

from flexdash.extensions import db
from flexdash.models import ConfigEvent, Role, Section, User
from flexdash.services import passwords, sign_in, users
from flexdash.services.errors import FieldRefused, NotAllowed, NotVisible, ServiceError
from flexdash.services.sign_in import Standing
from tests.factories import PASSWORD, make_actor, make_seller, make_user, make_workspace

NEW = "correct horse battery staple"


@pytest.fixture
def asha(app):
    return make_user(make_workspace(), Role.ADMIN, name="Asha", email="asha@company.example")


@pytest.fixture
def ravi(asha):
    return make_user(asha.workspace, name="Ravi", email="ravi@company.example")


def values_of(user, **changes):
    sellers = [seller.id for seller in user.sellers] if user.is_limited_to_sellers else None
    return {"name": user.name, "email": user.email, "role": user.role, "seller_ids": sellers, **changes}


def log():
    return db.session.scalars(select(ConfigEvent).order_by(ConfigEvent.id)).all()


def test_an_added_person_can_sign_in_and_the_log_says_who_added_them(asha):
    seller = make_seller(asha.workspace, "Nova Home")
    meera = users.add(
        make_actor(asha),
        name=" Meera \n Iyer ",
        email="Meera@Company.example",
        role=Role.MERCHANT,
        seller_ids=[seller.id],
        password=NEW,
    )
    assert (meera.name, meera.email) == ("Meera Iyer", "meera@company.example")
    assert sign_in.visit(sign_in.begin("meera@company.example", NEW)).user is meera
    row = log()[-1]
    assert (row.section, row.sentence) == (Section.USERS, "Asha added Meera Iyer as merchant")
    assert row.new_value["sellers"] == ["Nova Home"]
    assert NEW not in str(row.new_value)
    assert "hash" not in str(row.new_value)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"name": "  "}, "name"),
        ({"name": "x" * 101}, "name"),
        ({"email": "asha"}, "email"),
        ({"email": "a b@company.example"}, "email"),
        ({"email": "a@b@company.example"}, "email"),
        ({"email": "asha@company.example"}, "email"),
        ({"email": "ASHA@company.example"}, "email"),
        ({"password": "short"}, "password"),
        ({"password": "Meera Meera Meera 1"}, "password"),
        ({"seller_ids": []}, "seller_ids"),
        ({"seller_ids": [999_999]}, "seller_ids"),
        ({"role": Role.ADMIN, "seller_ids": [1]}, "seller_ids"),
    ],
)
def test_what_cannot_be_is_a_field_error_and_changes_nothing(asha, changes, field):
    given = {
        "name": "Meera",
        "email": "meera@company.example",
        "role": Role.MERCHANT,
        "seller_ids": None,
        "password": NEW,
        **changes,
    }
    with pytest.raises(FieldRefused) as refusal:
        users.add(make_actor(asha), **given)
    assert refusal.value.field == field
    assert db.session.scalars(select(User.name)).all() == ["Asha"]
    assert log() == []


def test_a_seller_of_another_workspace_cannot_be_ticked(asha):
    foreign = make_seller(make_workspace())
    with pytest.raises(FieldRefused):
        users.add(
            make_actor(asha),
            name="M",
            email="m@company.example",
            role=Role.MERCHANT,
            seller_ids=[foreign.id],
            password=NEW,
        )


def test_a_change_is_one_sentence_with_old_and_new_values(asha, ravi):
    users.edit(make_actor(asha), ravi.id, **values_of(ravi, role=Role.ADMIN))
    row = log()[-1]
    assert row.sentence == "Asha changed Ravi's role from merchant to admin"
    ids = {"user_id": ravi.id, "seller_ids": None}
    assert (row.old_value, row.new_value) == (ids | {"role": "merchant"}, ids | {"role": "admin"})
    assert row.actor_id == asha.id


def test_several_changes_are_one_sentence_too(asha, ravi):
    first, second = (make_seller(asha.workspace, name) for name in ("Nova Home", "Alpine Goods"))
    users.edit(make_actor(asha), ravi.id, **values_of(ravi, name="Ravi K", seller_ids=[first.id, second.id]))
    changes = "name from “Ravi” to “Ravi K” and sellers from all sellers to Alpine Goods and Nova Home"
    assert log()[-1].sentence == f"Asha changed Ravi's {changes}"
    assert make_actor(ravi).seller_ids == {first.id, second.id}


def test_nothing_changed_is_nothing_logged(asha, ravi):
    users.edit(make_actor(asha), ravi.id, **values_of(ravi))
    assert log() == []


def test_the_longest_names_fit_the_log(asha, ravi):
    many = [make_seller(asha.workspace, f"{n} " + "s" * 90).id for n in range(3)]
    long = {"name": "n" * 100, "email": "e" * 200 + "@" + "d" * 40 + ".example", "seller_ids": many}
    users.edit(make_actor(asha), ravi.id, **values_of(ravi, **long))
    users.edit(make_actor(asha), ravi.id, **values_of(ravi, name="m" * 100, email="f" + long["email"][1:]))
    assert all(len(row.sentence) <= 500 for row in log())
    assert log()[-1].new_value["name"] == "m" * 100


def test_an_email_that_another_account_has_is_a_field_error_on_change(asha, ravi):
    with pytest.raises(FieldRefused) as refusal:
        users.edit(make_actor(asha), ravi.id, **values_of(ravi, email="asha@company.example"))
    assert refusal.value.field == "email"


def test_the_same_email_saved_at_the_same_moment_is_a_field_error(asha, monkeypatch):
    make_user(make_workspace(), email="taken@company.example")
    monkeypatch.setattr(users, "_email_is_taken", lambda _email: False)  # as it was a moment before
    with pytest.raises(FieldRefused) as refusal:
        users.add(
            make_actor(asha),
            name="M",
            email="taken@company.example",
            role=Role.SUPPORT,
            seller_ids=None,
            password=NEW,
        )
    assert refusal.value.field == "email"
    assert log() == []


def test_a_deactivated_person_is_out_at_once_and_back_when_reactivated(asha, ravi):
    token = sign_in.begin(ravi.email, PASSWORD)
    users.deactivate(make_actor(asha), ravi.id, "Left the company")
    assert sign_in.visit(token).standing is Standing.DEACTIVATED
    assert (log()[-1].sentence, log()[-1].reason) == ("Asha deactivated Ravi", "Left the company")

    users.reactivate(make_actor(asha), ravi.id)
    assert sign_in.visit(token).standing is Standing.ENDED
    assert sign_in.begin(ravi.email, PASSWORD)
    assert log()[-1].sentence == "Asha reactivated Ravi"


def test_doing_it_again_is_not_logged_again(asha, ravi):
    for verb in (users.deactivate, users.deactivate, users.reactivate, users.reactivate):
        verb(make_actor(asha), ravi.id)
    assert len(log()) == 2


def test_the_last_active_admin_stays_one(asha, ravi):
    make_user(asha.workspace, Role.ADMIN, is_active=False)
    make_user(make_workspace(), Role.ADMIN)
    with pytest.raises(ServiceError, match="last active admin"):
        users.deactivate(make_actor(asha), asha.id)
    with pytest.raises(FieldRefused, match="last active admin") as refusal:
        users.edit(make_actor(asha), asha.id, **values_of(asha, role=Role.MERCHANT))
    assert refusal.value.field == "role"
    assert asha.is_active
    assert asha.role is Role.ADMIN


@pytest.mark.parametrize("how", ["deactivate", "demote"])
def test_two_admins_removing_each_other_at_once_leave_one(app, asha, how):
    others = [make_user(asha.workspace, Role.ADMIN) for _ in range(3)]
    admins = [asha, *others]
    jobs = [(make_actor(admins[n]), admins[n - 1].id, values_of(admins[n - 1], role=Role.SUPPORT)) for n in range(4)]
    db.session.rollback()
    start = threading.Barrier(len(jobs))
    refused = []

    def run(actor, user_id, values):
        with app.app_context():
            start.wait(10)
            try:
                if how == "deactivate":
                    users.deactivate(actor, user_id)
                else:
                    users.edit(actor, user_id, **values)
            except ServiceError as refusal:
                refused.append(refusal)

    threads = [threading.Thread(target=run, args=job) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    left = db.session.scalars(select(User).where(User.role == Role.ADMIN, User.is_active)).all()
    assert (len(left), len(refused)) == (1, 1)
    assert [row.sequence for row in log()] == [1, 2, 3]


def test_a_reset_password_ends_the_sessions_and_is_not_in_the_log(asha, ravi):
    token = sign_in.begin(ravi.email, PASSWORD)
    users.reset_password(make_actor(asha), ravi.id, NEW)
    assert sign_in.visit(token).standing is Standing.ENDED
    assert passwords.verify(ravi.password_hash, NEW)
    assert log()[-1].sentence == "Asha reset Ravi's password"
    assert NEW not in str(log()[-1].new_value)


def test_people_of_another_workspace_are_not_there(asha):
    stranger = make_user(make_workspace(), name="Stranger")
    actor = make_actor(asha)
    for attempt in (
        lambda: users.get(actor, stranger.id),
        lambda: users.edit(actor, stranger.id, **values_of(stranger)),
        lambda: users.deactivate(actor, stranger.id),
        lambda: users.reactivate(actor, stranger.id),
        lambda: users.reset_password(actor, stranger.id, NEW),
    ):
        with pytest.raises(NotVisible):
            attempt()
    assert [user.name for user in db.session.scalars(users.listing(actor))] == ["Asha"]


@pytest.mark.parametrize("role", [Role.MERCHANT, Role.SUPPORT])
def test_only_admins_manage_people(asha, ravi, role):
    actor = make_actor(make_user(asha.workspace, role))
    for attempt in (
        lambda: users.listing(actor),
        lambda: users.edit(actor, ravi.id, **values_of(ravi)),
        lambda: users.deactivate(actor, ravi.id),
        lambda: users.reactivate(actor, ravi.id),
        lambda: users.reset_password(actor, ravi.id, NEW),
    ):
        with pytest.raises(NotAllowed):
            attempt()


def test_the_list_is_searched_by_name_and_email_literally(asha, ravi):
    actor = make_actor(asha)
    make_user(asha.workspace, name="100% Cotton", email="cotton@company.example", is_active=False)

    def found(*given):
        return sorted(user.name for user in db.session.scalars(users.listing(actor, *given)))

    assert found("RAVI") == ["Ravi"]
    assert found("company.example") == ["100% Cotton", "Asha", "Ravi"]
    assert found("%") == ["100% Cotton"]
    assert found("_") == []
    assert found("", Role.ADMIN) == ["Asha"]
    assert found("", None, False) == ["100% Cotton"]


def test_the_first_person_of_a_workspace_is_an_admin_and_makes_it(app):
    given = {"name": "Asha", "email": "asha@new.example", "password": NEW}
    with pytest.raises(FieldRefused) as refusal:
        users.add_from_command_line("New Company", "Asia/Kolkata", **given, role=Role.MERCHANT)
    assert refusal.value.field == "role"
    user = users.add_from_command_line("New Company", "Asia/Kolkata", **given)
    assert (user.workspace.name, user.workspace.time_zone, user.role) == ("New Company", "Asia/Kolkata", Role.ADMIN)
    assert log()[-1].sentence == "FlexDash added Asha as admin"
    second = users.add_from_command_line(
        "New Company", "UTC", name="Ravi", email="r@new.example", password=NEW, role=Role.MERCHANT
    )
    assert second.workspace_id == user.workspace_id
    with pytest.raises(FieldRefused, match="time zone"):
        users.add_from_command_line("Other", "Mars/Olympus", **given)
