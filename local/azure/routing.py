"""How ARM reads a path. Paths alternate between literals and names, so a route is found without a search."""

RESOURCES = "Microsoft.Resources"


def parse(path: str) -> tuple[str, list[str]]:
    """The route's key for a path (in lower case, names replaced by {}) and the names as written.

    Literal and name take turns from the start, and anew after each provider's namespace. The same key comes from a
    template such as `/subscriptions/{subscriptionId}/resourceGroups/{resourceGroupName}`.
    """
    key: list[str] = []
    names: list[str] = []
    literal = True
    namespace = False
    for part in path.strip("/").split("/"):
        if literal or namespace:
            key.append(part.lower())
            literal = namespace
            namespace = not namespace and part.lower() == "providers"
        else:
            key.append("{}")
            names.append(part)
            literal = True
    return "/".join(key), names


def resource_type(path: str) -> tuple[str, str]:
    """`Microsoft.X` and `Microsoft.X/types/children` of a path or template."""
    _, separator, tail = path.rpartition("/providers/")
    if not separator:
        return RESOURCES, "/".join([RESOURCES, *path.strip("/").split("/")[::2]])
    namespace, *rest = tail.strip("/").split("/")
    return namespace, "/".join([namespace, *rest[::2]])


def action(method: str, template: str) -> str:
    """The right that an operation needs, as roles name it."""
    _, types = resource_type(template)
    if method == "POST":
        return f"{types}/action"
    return f"{types}/{ {'GET': 'read', 'DELETE': 'delete'}.get(method, 'write') }"


def is_within(path: str, scope: str) -> bool:
    """Whether a resource id is the scope or below it."""
    return path.lower() == scope.lower() or path.lower().startswith(scope.lower() + "/")
