"""Benchmarks with their peers beside them. `make bench` runs all, `make bench BENCHES="pages"` only some."""
