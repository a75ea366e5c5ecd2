"""The playbooks that are shipped, and those of the user: read from YAML, checked, by symptom."""

from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shared.job_remediation.playbook import Playbook
from shared.job_remediation.symptoms import Symptom

_SHIPPED = Path(__file__).parent / "playbooks"


class PlaybookInvalidError(Exception):
    """A file that is no playbook; the message names the file, the field and the remedy."""


def parse_playbook(text: str, name: str) -> Playbook:
    """The playbook in a YAML text; `name` is what errors call it. Raises PlaybookInvalidError."""
    import yaml

    try:
        document: Any = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise PlaybookInvalidError(f"{name} is no YAML: {error}") from error
    if not isinstance(document, dict):
        raise PlaybookInvalidError(f"{name} holds no playbook; begin it with `name:` and `title:`")
    try:
        return Playbook.model_validate(document)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(step) for step in problem['loc']) or 'the playbook'}: {problem['msg']}"
            f"{_remedy(problem['type'])}"
            for problem in error.errors(include_url=False, include_context=False)
        ]
        raise PlaybookInvalidError(f"{name}: {'; '.join(problems)}") from error


def _remedy(kind: str) -> str:
    """What to do about a problem whose words do not say it themselves."""
    remedies = {"extra_forbidden": "; no such field: remove it, or mend its name", "missing": "; add it"}
    return remedies.get(kind, "")


@cache
def shipped_playbooks() -> Mapping[str, Playbook]:
    """The playbooks that come with the app, by name. Raises PlaybookInvalidError."""
    return by_name(
        parse_playbook(path.read_text(encoding="utf-8"), path.name) for path in sorted(_SHIPPED.glob("*.yaml"))
    )


def by_name(playbooks: Iterable[Playbook]) -> dict[str, Playbook]:
    """The playbooks by their name; raises PlaybookInvalidError when two have one name, or answer one symptom."""
    found: dict[str, Playbook] = {}
    answered: dict[Symptom, str] = {}
    for playbook in playbooks:
        if playbook.name in found:
            raise PlaybookInvalidError(f"two playbooks are called {playbook.name}; rename one")
        found[playbook.name] = playbook
        for symptom in playbook.symptoms:
            other = answered.setdefault(symptom, playbook.name)
            if other != playbook.name:
                raise PlaybookInvalidError(f"{playbook.name} and {other} both answer {symptom}; leave it to one")
    return found


def with_own(own: Iterable[Playbook]) -> dict[str, Playbook]:
    """The shipped playbooks and those of the user, by name.

    One of the user takes the place of a shipped one only when it says so: by its name alone, or by a symptom, it does
    not. Raises PlaybookInvalidError.
    """
    shipped, mine = shipped_playbooks(), list(own)
    replaced = {playbook.replaces for playbook in mine if playbook.replaces}
    for playbook in mine:
        if playbook.replaces and playbook.replaces not in shipped:
            offered = ", ".join(sorted(shipped))
            raise PlaybookInvalidError(
                f"{playbook.name}: replaces: no shipped playbook is called {playbook.replaces}; they are {offered}"
            )
        theirs = [one for one in shipped.values() if one.name not in replaced]
        if any(one.name == playbook.name for one in theirs):
            raise PlaybookInvalidError(
                f"{playbook.name}: name: a shipped playbook is called so; rename it, or write"
                f" `replaces: {playbook.name}`"
            )
        for one in theirs:
            if both := sorted(set(one.symptoms) & set(playbook.symptoms)):
                raise PlaybookInvalidError(
                    f"{playbook.name}: symptoms: the shipped {one.name} answers {', '.join(both)}; write"
                    f" `replaces: {one.name}`, or leave them out"
                )
    return by_name([*(one for name, one in shipped.items() if name not in replaced), *mine])


def own_files(places: Iterable[str], folder: Path) -> list[Path]:
    """The files of the user's playbooks. `places` are files, folders or patterns, from that folder and within it.

    Raises PlaybookInvalidError, also for a place where there is none.
    """
    found: set[Path] = set()
    for place in places:
        if Path(place).is_absolute() or ".." in Path(place).parts:
            raise PlaybookInvalidError(f"{place}: job_remediation.playbooks.own leads out of the estate's folder")
        at = folder / place
        files = sorted(at.glob("*.yaml")) if at.is_dir() else sorted(folder.glob(place))
        if not files:
            raise PlaybookInvalidError(f"{place}: no such file beside the estate; mend job_remediation.playbooks.own")
        found.update(files)
    return sorted(found)


def is_shipped(file: Path) -> bool:
    """Whether it is the file of a shipped playbook."""
    return file.resolve().parent == _SHIPPED.resolve()


def read_playbook(file: Path) -> Playbook:
    """The playbook in a file. Raises PlaybookInvalidError."""
    try:
        return parse_playbook(file.read_text(encoding="utf-8"), file.name)
    except (OSError, UnicodeDecodeError) as error:
        raise PlaybookInvalidError(f"{file.name} cannot be read: {error}") from error


def playbook_for(playbooks: Mapping[str, Playbook], symptom: Symptom) -> Playbook | None:
    """The playbook that answers the symptom, None when none does."""
    return next((playbook for playbook in playbooks.values() if symptom in playbook.symptoms), None)
