"""The status page's forms: wake an environment, or let it sleep later. A person asks, and says why and how long.

Browsers send them without scripts. Whoever is logged in could be made to send one by another site: it is refused.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from urllib.parse import parse_qsl, quote, urlencode
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from functions.pages import page
from functions.routing import Answer, Call, Problem
from functions.shutdown_schedules import sleep_later, stay_awake
from shared.identity import Person


class SleepForm(BaseModel):
    """What a person fills in. `key` is the page's: a form that is sent twice asks once.

    The form is sent to the page's own address, so that the function key in it stands nowhere in the page.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    environment: str = Field(min_length=1, max_length=200)
    act: Literal["wake", "later"]
    reason: str = Field(min_length=1, max_length=2000)
    hours: int = Field(ge=1, le=7 * 24)
    key: str = Field(min_length=1, max_length=64)


def form_key(call: Call) -> str:
    """What makes sending a form of this page twice the same as once; empty for who may see no forms, since who holds
    only a key does not say who asks."""
    return uuid4().hex if isinstance(call.caller, Person) else ""


async def submitted(call: Call, shown: Callable[[str], Awaitable[str]]) -> Answer:
    """Do what the form asks for; then back to the page. `shown` is the page with a notice of what is wrong."""
    try:
        form = _form(call)
        await _done(call, form)
    except Problem as problem:
        said = "; ".join(f"{field.lstrip('/')}: {message}" for field, message in problem.errors)
        return page(await shown(said or problem.detail), problem.status)
    return Answer(None, 303, {"Location": f"status{_query(call)}#{quote(form.environment)}"})


def _form(call: Call) -> SleepForm:
    # A browser says where a form comes from in a header that no page can set (Fetch Metadata, W3C).
    if call.headers.get("sec-fetch-site") != "same-origin":
        raise Problem(
            403, "Forbidden", "the form was not sent by this page: open the status page and send it from there"
        )
    if not isinstance(call.caller, Person):
        raise Problem(403, "Forbidden", "log in first: a key does not say who asks")
    try:
        return SleepForm.model_validate(dict(parse_qsl(call.data.decode())))
    except (ValidationError, UnicodeDecodeError) as error:
        found = error.errors(include_url=False) if isinstance(error, ValidationError) else []
        errors = [("/".join(map(str, each["loc"])), each["msg"]) for each in found]
        raise Problem(400, "Bad request", "the form could not be read", errors) from error


async def _done(call: Call, form: SleepForm) -> None:
    asked, name = replace(call, headers={**call.headers, "idempotency-key": form.key}), form.environment
    if form.act == "wake":
        until = datetime.now(UTC) + timedelta(hours=form.hours)
        await stay_awake(asked, name, form.reason, until, woken=True, end="hours")
    else:
        await sleep_later(asked, name, form.reason, timedelta(hours=form.hours), end="hours")


def _query(call: Call) -> str:
    code = call.query.get("code")
    return f"?{urlencode({'code': code})}" if code else ""
