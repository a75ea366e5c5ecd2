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
            for problem in error.errors(include_url=False, include_context=False)
        ]
        raise PlaybookInvalidError(f"{name}: {'; '.join(problems)}") from error


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


def playbook_for(playbooks: Mapping[str, Playbook], symptom: Symptom) -> Playbook | None:
    """The playbook that answers the symptom, None when none does."""
    return next((playbook for playbook in playbooks.values() if symptom in playbook.symptoms), None)
