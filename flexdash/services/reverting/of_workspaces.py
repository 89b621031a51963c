"""Taking back what was changed about the hubs, sellers and people of a workspace. Nothing of them is ever deleted."""

from flexdash.models import ConfigEvent, Hub, Role, Seller, User
from flexdash.services import access, hubs, order_holds, places, sellers, users
from flexdash.services.actors import Actor
from flexdash.services.reverting.ways import NoWayBack, Values, Way, changed_keys, id_of


def hub(actor: Actor, event: ConfigEvent, new: Values) -> Way:
    """Give a hub its old values, or switch it on or off again."""
    old = event.old_value
    if not old:
        raise NoWayBack("A hub is not deleted, for orders and stock name it. Deactivate it on its page instead.")
    present_hub = access.get(actor, Hub, id_of(event, "hub_id", "hub"))
    hub_id = present_hub.id
    present = {**hubs.described(present_hub), "is_active": present_hub.is_active}
    wanted = present | {key: old[key] for key in changed_keys(event)}
    if "is_active" in new:
        if not wanted["is_active"]:
            effect = "Orders that come in for it go On Hold from then on; those it has stay."
            sold = (f"{name}: {one.warning}" for name, one in hubs.sold_at_amazon(actor, hub_id))
            return Way(present, wanted, lambda: hubs.deactivate(actor, hub_id), " ".join([effect, *sold]))

        def let_go() -> None:
            for store, _ in hubs.mappings(actor, hub_id):
                order_holds.release_fixed(store.id)

        effect = "Orders that wait for it are released."
        return Way(present, wanted, lambda: hubs.reactivate(actor, hub_id), effect, let_go)
    codes = {name: code for code, name in places.countries().items()}
    values = {key: wanted[key] for key in ("code", "name", "city", "time_zone")}
    country = codes.get(wanted["country"], wanted["country"])
    return Way(present, wanted, lambda: hubs.edit(actor, hub_id, **values, country_code=country))


def seller(actor: Actor, event: ConfigEvent, new: Values) -> Way:
    """Give a seller its old name, or put it to use or out of use again."""
    old = event.old_value
    if not old or event.seller_id is None:
        raise NoWayBack("A seller is not deleted, for stores and orders name it. Deactivate it on its page instead.")
    brand = access.get(actor, Seller, event.seller_id)
    seller_id = brand.id
    present = {"name": brand.name, "is_active": brand.is_active}
    wanted = present | {key: old[key] for key in changed_keys(event)}
    if "is_active" in new:
        verb = sellers.reactivate if wanted["is_active"] else sellers.deactivate
        return Way(present, wanted, lambda: verb(actor, seller_id))
    return Way(present, wanted, lambda: sellers.rename(actor, seller_id, name=wanted["name"]))


def user(actor: Actor, event: ConfigEvent, new: Values) -> Way:
    """Give a person their old name, e-mail, role and sellers, or let them in or keep them out again."""
    old = event.old_value
    if not old:
        if "role" in new:
            raise NoWayBack("A person is not deleted, for what they did names them. Deactivate them on their page.")
        raise NoWayBack("A password cannot be brought back: FlexDash keeps none. Reset it on the person's page.")
    person = access.get(actor, User, id_of(event, "user_id", "person"))
    user_id = person.id
    present = {**users.described(person), "is_active": person.is_active}
    changed = changed_keys(event)
    wanted = present | {key: old[key] for key in changed}
    if "is_active" in changed:
        verb = users.reactivate if wanted["is_active"] else users.deactivate
        return Way(present, wanted, lambda: verb(actor, user_id))
    if "sellers" in changed and "seller_ids" not in old:
        raise NoWayBack("This row does not say which sellers exactly they were. Choose them on the person's page.")
    seller_ids = old["seller_ids"] if "sellers" in changed else users.identified(person)["seller_ids"]
    values = {"name": wanted["name"], "email": wanted["email"], "role": Role(wanted["role"]), "seller_ids": seller_ids}
    return Way(present, wanted, lambda: users.edit(actor, user_id, **values))
