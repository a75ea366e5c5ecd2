"""A process that counts up in one state blob: `python -m tests.changes.count_up URL THREADS TIMES`."""

import sys
from concurrent.futures import ThreadPoolExecutor

from shared.changes.state import Store
from shared.platforms.blobs import AzureBlobContainer


def main() -> None:
    url, threads, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    store = Store(AzureBlobContainer(url))

    def count(_: int) -> None:
        for _ in range(times):
            store.update("counter", int, lambda known: (known or 0) + 1)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(count, range(threads)))


if __name__ == "__main__":
    main()
