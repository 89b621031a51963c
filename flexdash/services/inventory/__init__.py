"""Stock out: what Amazon is told, what it said, and what waits for a person.

`plan` says what is to be sent and what is left out, `outbox` writes what is sent and what came back, `sending` keeps
calls under way, `push` and `fetch` are the two syncs, `brake` holds back mass zeros; `drift` and `preview` are what
the pages show, `corrections` what people ask for there, `remedies` what to do about Amazon's errors.
"""
