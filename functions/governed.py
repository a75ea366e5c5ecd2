"""Governance asked over HTTP: what it refuses becomes a problem that the caller is told."""

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType

from functions.routing import Problem
from shared.changes.errors import ConflictError, InvalidRequestError, NotKnownError, NotPermittedError

_AS_IT_IS: Mapping[str, str] = MappingProxyType({})


async def governed[T](work: Callable[[], T], fields: Mapping[str, str] = _AS_IT_IS) -> T:
    """Run the work in a thread; its refusals become problems. `fields`: what the body calls governance's fields."""
    try:
        return await asyncio.to_thread(work)
    except NotPermittedError as error:
        raise Problem(403, "Forbidden", str(error)) from error
    except NotKnownError as error:
        raise Problem(404, "Not found", str(error)) from error
    except ConflictError as error:
        raise Problem(409, "Conflict", str(error)) from error
    except InvalidRequestError as error:
        field = fields.get(error.field, error.field)
        raise Problem(422, "Unprocessable content", str(error), [(f"/{field}", str(error))]) from error
