"""What the page after a failed return from Amazon says: what happened, what it means, what to do next."""

from dataclasses import dataclass

from flexdash.services.authorization import Outcome


@dataclass(frozen=True)
class Words:
    """One outcome in plain words. `{store}` and `{country}` stand for the store's name and country."""

    title: str
    happened: str
    means: str
    to_do: tuple[str, ...]
    is_for_support: bool = False


_NOTHING_CHANGED = "Nothing was connected and nothing was lost: what you have set up so far is kept."

WORDS: dict[Outcome, Words] = {
    Outcome.DENIED: Words(
        "You did not authorize FlexDash",
        "Amazon says that the authorization was cancelled on its page.",
        _NOTHING_CHANGED,
        (
            "If that was a slip, try again and choose to confirm on Amazon's page.",
            "If Amazon did not let you confirm, ask the primary user of your Seller Central account to do it, or to "
            "give you the permission to authorize apps.",
        ),
    ),
    Outcome.STATE_MISSING: Words(
        "This return from Amazon has no key",
        "The address that brought you here lacks the random key that FlexDash gave Amazon to carry.",
        "FlexDash cannot tell which store it belongs to, so it did nothing. " + _NOTHING_CHANGED,
        ("Start again from FlexDash. Links in e-mails or bookmarks do not work for this.",),
    ),
    Outcome.STATE_UNKNOWN: Words(
        "FlexDash does not know this return from Amazon",
        "The random key in the address is none that FlexDash gave out.",
        "The address may have been cut or changed, or it was made by somebody else. " + _NOTHING_CHANGED,
        (
            "Try again from FlexDash.",
            "If somebody sent you the link, do not open it again, and tell your admin.",
        ),
    ),
    Outcome.STATE_USED: Words(
        "This return from Amazon was used already",
        "Each return counts once, and this one has been counted. It happens when the page is loaded again or the "
        "browser's Back button is pressed.",
        "Nothing was changed by opening it a second time.",
        ("Look whether the store is connected.", "If it is not, try again: Amazon then makes a new return."),
    ),
    Outcome.STATE_EXPIRED: Words(
        "The authorization took too long",
        "Between Integrate and Amazon's return no more than 15 minutes may pass, and more have passed.",
        _NOTHING_CHANGED,
        ("Try again and confirm on Amazon's page within 15 minutes.",),
    ),
    Outcome.OTHER_USER: Words(
        "This return from Amazon belongs to somebody else",
        "The trip to Amazon was begun by another person, not by you.",
        "FlexDash connects a store only for the person who began it. Nothing was connected in your name.",
        (
            "If you share this computer, sign out and let the person who began it sign in.",
            "If somebody sent you the link, do not open it again, and tell your admin.",
            "To connect a store yourself, begin in FlexDash.",
        ),
    ),
    Outcome.OTHER_SESSION: Words(
        "This return from Amazon belongs to another sign-in of yours",
        "The trip to Amazon was begun in another browser, or before you signed in anew.",
        _NOTHING_CHANGED,
        ("Try again here, and stay in this browser until you are back from Amazon.",),
    ),
    Outcome.SIGNED_OUT: Words(
        "You were signed out while you were at Amazon",
        "When Amazon sent you back, FlexDash did not know you any more, so it could not take Amazon's answer.",
        _NOTHING_CHANGED,
        ("You are signed in now. Try again: Amazon asks you to confirm once more.",),
    ),
    Outcome.INCOMPLETE: Words(
        "Amazon's answer is incomplete",
        "Amazon sent you back without the code, or without naming the account, that FlexDash needs.",
        _NOTHING_CHANGED,
        (
            "Try again.",
            "If it happens again, give the reference below to support: the app may not be set up at Amazon as it "
            "should be.",
        ),
    ),
    Outcome.CODE_REFUSED: Words(
        "Amazon refused the code it had sent",
        "FlexDash showed Amazon the code you came back with, and Amazon did not accept it. Codes live for five minutes "
        "and count once.",
        _NOTHING_CHANGED,
        ("Try again: Amazon then gives a new code.", "If it happens again, give the reference below to support."),
    ),
    Outcome.APP_REFUSED: Words(
        "Amazon does not accept FlexDash itself",
        "Amazon refused FlexDash's own client id and secret. This is not about your account.",
        "No store can be connected until whoever runs FlexDash has mended it. " + _NOTHING_CHANGED,
        (
            "Give the reference below to whoever runs FlexDash. They find what to check under “Login with Amazon "
            "credentials” in Amazon's Solution Provider Portal: AMAZON_CLIENT_ID and AMAZON_CLIENT_SECRET must be "
            "those of the app.",
            "Try again once they say it is mended.",
        ),
        is_for_support=True,
    ),
    Outcome.UNREACHABLE: Words(
        "Amazon could not be reached",
        "You authorized FlexDash, but Amazon did not answer when FlexDash asked for the access that belongs to it: its "
        "service is down, too slow, or the connection was cut.",
        _NOTHING_CHANGED,
        ("Wait a minute and try again. Amazon may ask you to confirm once more.",),
    ),
    Outcome.ALREADY_CONNECTED: Words(
        "This Amazon account is connected already",
        "The Amazon account you signed in with is connected in your workspace, for {country}, as another store.",
        "One account can be connected once per country: twice, and each order would come in twice. " + _NOTHING_CHANGED,
        (
            "If you meant another Amazon account: sign out of Seller Central first, then try again and sign in with "
            "the right one.",
            "If you meant that account, use the store it is connected as.",
        ),
    ),
    Outcome.OTHER_ACCOUNT: Words(
        "That was another Amazon account",
        "You signed in at Amazon with another account than the one {store} belongs to.",
        "FlexDash kept the access it had, and took none to the other account: orders of two accounts must not mix in "
        "one store.",
        (
            "Sign out of Seller Central, then try again and sign in with the account shown below.",
            "To connect the other account too, add a new store for it.",
        ),
    ),
    Outcome.NOT_SELLING_HERE: Words(
        "This Amazon account does not sell in {country}",
        "Amazon says that the account you signed in with does not sell in {country}, the country chosen for {store}.",
        "FlexDash did not keep the access: no order could come in. " + _NOTHING_CHANGED,
        (
            "If the country is wrong, change it.",
            "If you have several Amazon accounts, sign out of Seller Central and try again with the right one.",
            "If the account should sell there, ask Amazon's Seller Support to switch the marketplace on first.",
        ),
    ),
    Outcome.WITHDRAWN: Words(
        "The store was changed while you were at Amazon",
        "Somebody discarded the draft, gave it another country or disconnected the store while you were at Amazon.",
        "FlexDash did not connect what was just taken away.",
        ("Look at the list of stores, and begin anew if you still want to connect it.",),
    ),
    Outcome.BEING_HANDLED: Words(
        "FlexDash is still talking to Amazon",
        "This return arrived twice, as after a double click. The first one is being handled right now.",
        "You need not do anything: it takes a few seconds.",
        ("Look again in a moment.",),
    ),
    Outcome.INTERRUPTED: Words(
        "FlexDash was interrupted",
        "FlexDash was stopped while it was handling Amazon's answer.",
        _NOTHING_CHANGED,
        ("Try again: Amazon then gives a new code.",),
        is_for_support=True,
    ),
}
# A store that is disconnected has no access to keep, and its history belongs to the one account for good.
OTHER_ACCOUNT_OF_A_DISCONNECTED_STORE = Words(
    WORDS[Outcome.OTHER_ACCOUNT].title,
    WORDS[Outcome.OTHER_ACCOUNT].happened,
    "{store} is disconnected and stays so. It can be reconnected only with the account it had: its orders and its "
    "history are that account's, and orders of two accounts must not mix in one store.",
    (
        "To connect the account you signed in with, add a new store for it. {store} and its history stay as they are.",
        "To reconnect {store}, sign out of Seller Central, then try again and sign in with the account shown below.",
    ),
)


def words_for(outcome: Outcome, *, is_disconnected: bool) -> Words:
    """Return the words for `outcome` of a trip whose store is, or is not, a disconnected one."""
    if outcome is Outcome.OTHER_ACCOUNT and is_disconnected:
        return OTHER_ACCOUNT_OF_A_DISCONNECTED_STORE
    return WORDS[outcome]
