"""What FlexDash does, as modules of verbs: one public verb is one transaction, and none knows a request or a queue."""
