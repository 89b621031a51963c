"""What the sandbox knows: accounts, shipments, stock, tokens, plans and faults. Knows nothing of HTTP."""
