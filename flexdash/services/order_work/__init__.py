"""Working orders: moving them on, what that needs of Amazon, and what does not fit together."""
