"""Benchmarks with their peers beside them. `make bench` runs all; `python -m bench order_pull pages` only some."""
