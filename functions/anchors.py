"""Anchors: the timer of the nightly look at every live database; what it does is in `anchor_steps`."""

import azure.durable_functions as df
import azure.functions as func

blueprint = df.Blueprint()


@blueprint.function_name("anchors_tick")
@blueprint.timer_trigger(arg_name="timer", schedule="%ANCHORS_SCHEDULE%")
def anchors_tick(timer: func.TimerRequest) -> None:
    """Look at every live database that was not looked at since its night began."""
    from functions.anchor_steps import look_at_live_databases

    look_at_live_databases()
