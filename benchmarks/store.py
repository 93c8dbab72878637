"""What a commit costs, at 1,000 and at 100,000 documents.

python benchmarks/store.py [--short]
"""

import sys
import tempfile
from pathlib import Path

from measure import median_seconds, table

from bridge.store.tinydb_store import TinyDocuments

SHORT = "--short" in sys.argv
SMALL, LARGE = 1_000, 10_000 if SHORT else 100_000
COMMITS = 200 if SHORT else 1_000


def filled(folder: Path, count: int) -> TinyDocuments:
    documents = TinyDocuments.open(folder)
    for start in range(0, count, 1_000):
        rows = {str(n): {"n": n, "text": "x" * 200} for n in range(start, start + 1_000)}
        documents.write({"models": rows})
    return documents


def commit_cost(documents: TinyDocuments, count: int) -> float:
    numbers = iter(range(10**9))

    def commit() -> None:
        n = next(numbers)
        row = {"n": n, "text": "y" * 200}
        documents.write({"models": {str(n % count): row}, "outbox": {str(n): row}})

    return median_seconds(commit, COMMITS)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        stores = {count: filled(Path(folder) / str(count), count) for count in (SMALL, LARGE)}
        costs: dict[int, list[float]] = {count: [] for count in stores}
        for _ in range(3):
            for count, documents in stores.items():
                costs[count].append(commit_cost(documents, count))
        small, large = (min(costs[count]) for count in (SMALL, LARGE))
        for documents in stores.values():
            documents.close()
        opened = median_seconds(lambda: TinyDocuments.read(Path(folder) / str(LARGE)), 3)
    table(
        [
            ("store", "figure", "to reach"),
            (f"commit at {SMALL:,} documents", f"{small * 1e3:.2f} ms", ""),
            (f"commit at {LARGE:,} documents", f"{large * 1e3:.2f} ms", ""),
            ("ratio", f"{large / small:.2f}", "<= 1.5"),
            (f"opening {LARGE:,} documents", f"{opened:.2f} s", ""),
        ]
    )


main()
