"""How long an act may take: no delivery takes it over while the host may still let another one go on."""

from datetime import timedelta

import pytest

from functions.change_services import FunctionTimeoutError, as_long_as_an_act, function_timeout
from shared.changes.policy import Policy

SETTING = "AzureFunctionsJobHost__functionTimeout"


def test_the_grace_is_at_least_the_hosts_time_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    assert as_long_as_an_act(Policy(), function_timeout()).redelivery_grace == timedelta(minutes=10)
    monkeypatch.setenv(SETTING, "01:30:00")
    assert as_long_as_an_act(Policy(), function_timeout()).redelivery_grace == timedelta(minutes=90)
    monkeypatch.setenv(SETTING, "00:05:00")
    assert as_long_as_an_act(Policy(), function_timeout()).redelivery_grace == timedelta(minutes=10)


@pytest.mark.parametrize("unlimited", ["-1", "soon"])
def test_a_host_without_a_time_limit_lets_nobody_act(unlimited: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SETTING, unlimited)
    with pytest.raises(FunctionTimeoutError, match="write hh:mm:ss"):
        function_timeout()
