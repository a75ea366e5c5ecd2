"""The declared estate as it is on this machine: the same file, in which storage accounts have a local address."""

from collections.abc import Callable, Iterator

import yaml


def with_blob_endpoints(text: str, endpoint: Callable[[str], str]) -> str:
    """The estate's text with `blob_endpoint: endpoint(ACCOUNT)` in every storage account that declares none.

    Nothing else changes, comments and order included.
    """
    insertions: list[tuple[int, str]] = []
    for account in _accounts(yaml.compose(text)):
        entries = {key.value: value.value for key, value in account.value}
        if "blob_endpoint" in entries:
            continue
        line = f"blob_endpoint: {endpoint(entries['id'].rpartition('/')[2])}"
        start = account.start_mark
        if account.flow_style:
            insertions.append((start.index + 1, f" {line}, "))
        else:
            first = account.value[0][0].start_mark
            insertions.append((first.index, f"{line}\n{' ' * first.column}"))
    for index, insertion in sorted(insertions, reverse=True):
        text = text[:index] + insertion + text[index:]
    return text


def _accounts(root: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    seen: set[int] = set()
    for environment in _values(_value(root, "environments")):
        for account in _values(_value(environment, "storage")):
            if isinstance(account, yaml.MappingNode) and id(account) not in seen:
                seen.add(id(account))
                yield account


def _value(node: yaml.Node | None, name: str) -> yaml.Node | None:
    if not isinstance(node, yaml.MappingNode):
        return None
    return next((value for key, value in node.value if key.value == name), None)


def _values(node: yaml.Node | None) -> list[yaml.Node]:
    return [value for _, value in node.value] if isinstance(node, yaml.MappingNode) else []
