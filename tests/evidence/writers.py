"""Many writers in one process, each in a thread, as the app's instances write: `python -m tests.evidence.writers`."""

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Barrier

from shared.evidence.record import write
from shared.platforms import blobs
from tests.evidence.logs import record


def run(url: str, time: datetime, first: int, writers: int, each: int) -> None:
    """Every writer writes `each` records of its own, and one that all of them write."""
    container = blobs.container(url)
    together = Barrier(writers)

    def write_all(writer: int) -> None:
        together.wait()
        write(container, record(9999, time))
        for number in range(each):
            write(container, record((first + writer) * each + number, time))

    with ThreadPoolExecutor(writers) as pool:
        list(pool.map(write_all, range(writers)))


if __name__ == "__main__":
    run(sys.argv[1], datetime.fromisoformat(sys.argv[2]), *map(int, sys.argv[3:]))
