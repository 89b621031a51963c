"""What FlexDash does, as modules of verbs: one public verb is one transaction. Nothing here knows a request or a queue."""
