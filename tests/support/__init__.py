"""What the suite stands on: databases, Redis, servers, browsers. `conftest.py` makes fixtures of it."""
