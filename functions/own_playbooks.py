"""The playbooks in force: those that are shipped, and the user's own beside the estate."""

from collections.abc import Mapping
from pathlib import Path

from functions import estate_in_force
from shared.job_remediation import library
from shared.job_remediation.playbook import Playbook
from shared.platforms import settings

_kept: tuple[tuple[tuple[str, float], ...], Mapping[str, Playbook]] | None = None


def playbooks() -> Mapping[str, Playbook]:
    """By name. Raises PlaybookInvalidError; then nothing is done, since nobody knows what the user meant."""
    global _kept
    policy = estate_in_force.get().job_remediation
    places = policy.playbooks.own if policy else ()
    if not places:
        return library.shipped_playbooks()
    folder = Path(settings.optional("ESTATE_FILE", "estate.yaml")).parent
    files = library.own_files(places, folder)
    written = tuple((str(file), file.stat().st_mtime) for file in files)
    if _kept is None or _kept[0] != written:
        _kept = written, library.with_own(library.read_playbook(file) for file in files)
    return _kept[1]
