"""Kubernetes objects in an export of a repository: YAML or JSON files, or a tar file of them."""

import io
import tarfile
from collections.abc import Iterable, Iterator
from typing import Any, cast

SUFFIXES = (".yaml", ".yml", ".json")
ARCHIVES = (".tar", ".tar.gz", ".tgz")
MAX_FILE = 32 << 20


class UnreadableManifestError(Exception):
    """A file that should hold objects cannot be read."""


def objects_in(name: str, content: bytes) -> Iterator[str]:
    """The objects of one file as KIND/NAMESPACE/NAME, the kind in lower case; `default` where no namespace is said.

    Raises UnreadableManifestError. Templates are no manifests: export them rendered.
    """
    if name.endswith(ARCHIVES):
        yield from _in_archive(name, content)
    elif name.endswith(SUFFIXES):
        yield from _in_documents(name, content)


def missing(wanted: Iterable[str], found: Iterable[str]) -> list[str]:
    """The declared objects that are not among the found."""
    present = set(found)
    return [each for each in wanted if _normal(each) not in present]


def _in_archive(name: str, content: bytes) -> Iterator[str]:
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode="r:*") as archive:
            for member in archive:
                if member.isreg() and member.name.endswith(SUFFIXES) and member.size <= MAX_FILE:
                    file = archive.extractfile(member)
                    if file is not None:
                        yield from _in_documents(f"{name}:{member.name}", file.read())
    except (tarfile.TarError, EOFError, OSError) as error:
        raise UnreadableManifestError(f"{name}: {error}") from error


def _in_documents(name: str, content: bytes) -> Iterator[str]:
    import yaml

    try:
        for document in yaml.load_all(content, Loader=_loader()):
            yield from _in_object(document)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UnreadableManifestError(f"{name}: {str(error).splitlines()[0]}") from error


def _loader() -> Any:
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def _in_object(document: object) -> Iterator[str]:
    if not isinstance(document, dict):
        return
    found = cast(dict[str, Any], document)
    if found.get("kind") == "List" and isinstance(found.get("items"), list):
        for item in found["items"]:
            yield from _in_object(item)
        return
    metadata = found.get("metadata")
    if isinstance(found.get("kind"), str) and isinstance(metadata, dict):
        named = cast(dict[str, Any], metadata)
        if named.get("name"):
            yield _normal(f"{found['kind']}/{named.get('namespace') or 'default'}/{named['name']}")


def _normal(reference: str) -> str:
    kind, _, rest = reference.partition("/")
    return f"{kind.lower()}/{rest}"
