"""Words the pages of the API log use."""

from flexdash.models import CallOutcome

# Outcome: words, the badge's kind and icon.
OUTCOME_WORDS = {
    CallOutcome.SUCCESS: ("Success", "good", "check"),
    CallOutcome.REFUSED: ("Refused", "bad", "danger"),
    CallOutcome.THROTTLED: ("Throttled", "warn", "clock"),
    CallOutcome.FAULT: ("Amazon's fault", "warn", "warning"),
    CallOutcome.NO_ANSWER: ("No answer", "warn", "unlink"),
}

# What an outcome means, and what follows; nothing is said of a success.
OUTCOME_MEANINGS = {
    CallOutcome.REFUSED: "Amazon read the request and will not do it. The same request would be refused again: what "
    "has to change stands in Amazon's words below.",
    CallOutcome.THROTTLED: "Amazon's allowance was used up for the moment. FlexDash waits and asks again by itself; "
    "there is nothing to do unless it happens all the time.",
    CallOutcome.FAULT: "Amazon answered with a fault of its own, or with something that is no answer. FlexDash asks "
    "again where that does no harm, else with the next run.",
    CallOutcome.NO_ANSWER: "The connection failed or Amazon took too long. Whether the request arrived is not known; "
    "FlexDash reads Amazon's state before it does such a thing again.",
}
