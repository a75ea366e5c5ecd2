"""The command: `python -m local.functions_host --app DIR --data DIR`."""

import argparse
import os
import signal
import sys
import threading
from pathlib import Path

from local.functions_host.config import ConfigError, HostConfig, read_local_settings
from local.functions_host.easy_auth import EasyAuth
from local.functions_host.faults import Faults
from local.functions_host.host import FunctionsHost, HostNotReadyError
from local.functions_host.keys import Keys


def main(argv: list[str] | None = None) -> int:
    arguments = _parser().parse_args(argv)
    try:
        config = _config(arguments)
        host = FunctionsHost(config, echo=print if arguments.verbose else None)
    except (ConfigError, ValueError) as error:
        print(f"functions host: {error}", file=sys.stderr)
        return 2
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    try:
        with host:
            _serve(host, arguments.keys or arguments.data / "keys.json", stopping)
    except (ConfigError, OSError) as error:
        print(f"functions host: {error}", file=sys.stderr)
        return 2
    return 0


def _serve(host: FunctionsHost, keys: Path, stopping: threading.Event) -> None:
    try:
        host.wait_ready(host.config.worker_start_seconds)
    except HostNotReadyError as error:
        print(f"{error}\n\nThe host is in error and answers 503; details: {host.log.path}", file=sys.stderr)
    else:
        print(_describe(host, keys), flush=True)
    stopping.wait()


def _describe(host: FunctionsHost, keys: Path) -> str:
    lines = ["Functions:", ""]
    for function in host.functions:
        if function.name.startswith("BuiltIn__"):
            continue
        if function.disabled:
            lines.append(f"\t{function.name}: disabled")
        elif function.route is not None and function.runs:
            methods = f"[{','.join(function.methods)}] " if function.methods else ""
            lines.append(f"\t{function.name}: {methods}{host.url}/{function.route.template}")
        else:
            lines.append(f"\t{function.name}: {function.kind}")
    lines += ["", *host.errors, f"Keys: {keys}", f"Logs: {host.log.path.parent}", "Ctrl-C stops the host."]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m local.functions_host", description="Run a Functions app locally.")
    parser.add_argument("--app", type=Path, required=True, help="folder of function_app.py and host.json")
    parser.add_argument("--data", type=Path, required=True, help="the host's own folder: keys, timers, logs")
    parser.add_argument("--port", type=int, default=7071, help="0 takes a free one (default: %(default)s)")
    parser.add_argument("--address", default="127.0.0.1", help="where to listen (default: %(default)s)")
    parser.add_argument("--settings", type=Path, help="a local.settings.json; its Values become app settings")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="one more app setting")
    parser.add_argument("--keys", type=Path, help="keys file, made when absent (default: keys.json in the data folder)")
    parser.add_argument("--auth-audience", help="switch App Service authentication on, for tokens of this audience")
    parser.add_argument("--auth-required", action="store_true", help="refuse requests without a token")
    parser.add_argument("--faults", type=Path, help="JSON file of faults; FUNCTIONS_HOST_FAULTS holds the JSON itself")
    parser.add_argument("--verbose", action="store_true", help="print the log, too")
    return parser


def _config(arguments: argparse.Namespace) -> HostConfig:
    settings = read_local_settings(arguments.settings) if arguments.settings else {}
    for assignment in arguments.set:
        name, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment}: write NAME=VALUE")
        settings[name] = value
    faults = arguments.faults.read_text("utf-8") if arguments.faults else os.environ.get("FUNCTIONS_HOST_FAULTS")
    easy_auth = None
    if arguments.auth_audience:
        easy_auth = EasyAuth(arguments.auth_audience, allow_anonymous=not arguments.auth_required)
    return HostConfig(
        app=arguments.app,
        data=arguments.data,
        port=arguments.port,
        address=arguments.address,
        settings=settings,
        keys=Keys.load_or_generate(arguments.keys) if arguments.keys else None,
        easy_auth=easy_auth,
        faults=Faults.from_json(faults) if faults else Faults(),
    )


if __name__ == "__main__":
    sys.exit(main())
