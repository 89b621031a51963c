"""Runs the benchmarks and prints the table."""

import sys
from collections.abc import Callable, Iterator

from bench import csv_upload, dispatch, first_page, inventory, order_pull, pages, results, scrape, workers
from bench.results import Figure

BENCHES: dict[str, Callable[[], Iterator[Figure]]] = {
    "order_pull": order_pull.figures,
    "inventory": inventory.figures,
    "csv_upload": csv_upload.figures,
    "pages": pages.figures,
    "dispatch": dispatch.figures,
    "scrape": scrape.figures,
    "workers": workers.figures,
    "first_page": first_page.figures,
}


def main(names: list[str]) -> int:
    """Run the benches named, or all; only a full run is kept in bench/results.md."""
    if unknown := set(names) - set(BENCHES):
        print(f"No such bench: {', '.join(sorted(unknown))}. There are: {', '.join(BENCHES)}.")
        return 2
    figures = []
    for name in names or BENCHES:
        for figure in BENCHES[name]():
            print(" · ".join(figure.cells()), flush=True)
            figures.append(figure)
    print(f"\n{results.table(figures)}")
    if not names:
        results.keep(figures)
    return 0


sys.exit(main(sys.argv[1:]))
