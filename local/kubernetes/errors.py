"""Refusals of an API server, as its `Status` objects say them."""

from collections.abc import Mapping, Sequence
from typing import Any

from local.kubernetes.resources import Resource


class ApiError(Exception):
    """An answer other than success. `status` is the object that the client gets."""

    def __init__(
        self,
        code: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.code = code
        self.headers = dict(headers or {})
        self.status: dict[str, Any] = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": message,
            "reason": reason,
            **({"details": dict(details)} if details else {}),
            "code": code,
        }


def success(details: Mapping[str, Any] | None = None, code: int = 200) -> dict[str, Any]:
    status: dict[str, Any] = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"}
    return {**status, "details": dict(details)} if details else {**status, "code": code}


def details(resource: Resource, name: str, kind: str | None = None, **more: Any) -> dict[str, Any]:
    group = {"group": resource.group} if resource.group else {}
    return {"name": name, **group, "kind": kind or resource.plural, **more}


def not_found(resource: Resource, name: str) -> ApiError:
    return ApiError(404, "NotFound", f'{resource.qualified} "{name}" not found', details(resource, name))


def already_exists(resource: Resource, name: str) -> ApiError:
    return ApiError(409, "AlreadyExists", f'{resource.qualified} "{name}" already exists', details(resource, name))


def conflict(resource: Resource, name: str, why: str = "") -> ApiError:
    why = why or "the object has been modified; please apply your changes to the latest version and try again"
    return ApiError(
        409,
        "Conflict",
        f'Operation cannot be fulfilled on {resource.qualified} "{name}": {why}',
        details(resource, name),
    )


def invalid(resource: Resource, name: str, problems: Sequence[tuple[str, str]]) -> ApiError:
    """`problems` are fields and what is wrong with each."""
    kind = f"{resource.kind}.{resource.group}" if resource.group else resource.kind
    said = [f"{field}: {problem}" for field, problem in problems]
    causes = [{"reason": "FieldValueInvalid", "message": problem, "field": field} for field, problem in problems]
    message = said[0] if len(said) == 1 else f"[{', '.join(said)}]"
    return ApiError(
        422,
        "Invalid",
        f'{kind} "{name}" is invalid: {message}',
        details(resource, name, resource.kind, causes=causes),
    )


def invalid_patch(why: str) -> ApiError:
    cause = {"reason": "FieldValueInvalid", "message": why, "field": "patch"}
    return ApiError(422, "Invalid", f' "" is invalid: patch: {why}', {"causes": [cause]})


def bad_request(message: str) -> ApiError:
    return ApiError(400, "BadRequest", message)


def unauthorized() -> ApiError:
    return ApiError(401, "Unauthorized", "Unauthorized")


def forbidden(user: str, verb: str, resource: Resource, name: str, namespace: str) -> ApiError:
    place = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
    subject = f'{resource.qualified} "{name}"' if name else resource.qualified
    return ApiError(
        403,
        "Forbidden",
        f'{subject} is forbidden: User "{user}" cannot {verb} resource "{resource.plural}" '
        f'in API group "{resource.group}" {place}',
        details(resource, name) if name else {"group": resource.group, "kind": resource.plural},
    )


def expired(message: str) -> ApiError:
    return ApiError(410, "Expired", message)


def method_not_allowed() -> ApiError:
    return ApiError(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")


def unsupported_media_type(accepted: Sequence[str]) -> ApiError:
    return ApiError(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {', '.join(accepted)}",
    )
