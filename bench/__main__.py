"""Runs the benchmarks and prints the table."""

import argparse
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


def main(arguments: list[str]) -> int:
    """Run the benches named, or all; with --keep what each has measured is kept in bench/results.md once it is done."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"all unless given: {', '.join(BENCHES)}")
    parser.add_argument("--keep", action="store_true", help="write the rows into bench/results.md; the others stay")
    asked = parser.parse_args(arguments)
    if unknown := set(asked.names) - set(BENCHES):
        print(f"No such bench: {', '.join(sorted(unknown))}. There are: {', '.join(BENCHES)}.")
        return 2
    every = []
    for name in asked.names or BENCHES:
        figures = []
        for figure in BENCHES[name]():
            print(" · ".join(figure.cells()), flush=True)
            figures.append(figure)
        if asked.keep:
            results.keep(name, figures, list(BENCHES))
        every += figures
    print(f"\n{results.table(every)}")
    return 0


sys.exit(main(sys.argv[1:]))
