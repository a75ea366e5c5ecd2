"""The embedded estate for tests: one for each file, since it takes seconds to bring up and files change it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from local.embedded_estate import EmbeddedEstate

PROJECT = Path(__file__).resolve().parents[1]
_WAITING = {"estate", "running", "many"}
"""Fixtures whose tests wait for servers more than they compute."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that wait come first: what computes fills the gaps, and no long file is left alone at the end."""
    waiting = {item.path for item in items if _WAITING & set(getattr(item, "fixturenames", ()))}
    items.sort(key=lambda item: item.path not in waiting and item.path.name != "test_run.py")


@contextmanager
def _silently(title: str) -> Iterator[Callable[[str], None]]:
    yield lambda word: None


@pytest.fixture(scope="module")
def estate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedEstate]:
    """The single-company example with real servers and books; its outcomes' topic retries fast."""
    folder = tmp_path_factory.mktemp("estate")
    example = PROJECT / "examples" / "single-company" / "estate.yaml"
    with EmbeddedEstate(
        folder, example, environments=("production",), progress=_silently, journal_items=1000, event_time_scale=0.01
    ) as running:
        yield running
