"""Cold start: how long our app takes to be indexed by the Functions runtime library, against a bare app.

Baseline: an app with one HTTP function, indexed the same way in the same run. Both with valid .pyc, alternating, the
best of several runs, in processor time: a cold start is work without waiting, and a busy machine shall not decide.
Also prints what our app imports beyond the bare one, slowest first. Exits 1 when the ratio is above the budget.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[1]
BUDGET_RATIO = 2.5
BARE_APP = """
import azure.durable_functions as df
import azure.functions as func

app = df.DFApp()

@app.route(route="ping")
def ping(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse("pong")
"""
INDEX = """
import asyncio, json, os, sys, time
from types import SimpleNamespace as Namespace
started = time.process_time()
import azure_functions_runtime as runtime
loaded = time.process_time()
class Protos:
    class StatusResult(Namespace):
        Success, Failure = 1, 0
    class BindingInfo(Namespace):
        undefined, string, binary, stream, out, inout = 0, 1, 2, 3, 1, 2
    def __getattr__(self, name):
        return type(name, (Namespace,), {})
setattr(Protos.BindingInfo, "in", 0)
init = Namespace(request=Namespace(worker_init_request=Namespace(capabilities={}, function_app_directory=sys.argv[1])),
    properties={"host": "127.0.0.1", "protos": Protos()})
sys.path.insert(0, sys.argv[1])
answer = asyncio.run(runtime.worker_init_request(init))
assert answer.result.status == 1, answer.result.exception
print(json.dumps({"index": time.process_time() - loaded, "runtime": loaded - started,
    "functions": len(asyncio.run(runtime.functions_metadata_request(Namespace())).function_metadata_results),
    "modules": len(sys.modules)}))
"""


def index(app: Path, *, import_times: bool = False) -> tuple[dict[str, float], str]:
    """Index an app in a process of its own: seconds, number of functions and modules, and Python's import times."""
    done = subprocess.run(
        [sys.executable, *(("-X", "importtime") if import_times else ()), "-c", INDEX, str(app)],
        capture_output=True,
        text=True,
        check=False,
        env={name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"},
    )
    if done.returncode:
        sys.exit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def imports_of(stderr: str) -> dict[str, int]:
    """Self time in microseconds by module."""
    rows = (
        line.removeprefix("import time:").split("|") for line in stderr.splitlines() if line.startswith("import time:")
    )
    return {name.strip(): int(own) for own, _, name in rows if own.strip().isdigit()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true", help="few runs: does it work at all")
    rounds = 3 if parser.parse_args().smoke else 10
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder)
        (bare / "function_app.py").write_text(BARE_APP)
        for app in (bare, PROJECT):
            index(app)  # writes the .pyc files
        runs = [(index(bare)[0], index(PROJECT)[0]) for _ in range(rounds)]
        extra = imports_of(index(PROJECT, import_times=True)[1])
        for name in imports_of(index(bare, import_times=True)[1]):
            extra.pop(name, None)
    baseline = min(bare_run["index"] for bare_run, _ in runs)
    ours = min(our_run["index"] for _, our_run in runs)
    for name, run, seconds in (("baseline", runs[0][0], baseline), ("ours", runs[0][1], ours)):
        print(f"{name:10}{run['functions']:3} functions: {seconds * 1000:7.1f} ms, {run['modules']} modules")
    print(f"ratio     {ours / baseline:.2f} (budget {BUDGET_RATIO})")
    packages: dict[str, int] = {}
    for name, own in extra.items():
        package = ".".join(name.split(".")[: 3 if name.startswith(("azure.", "shared.")) else 1])
        packages[package] = packages.get(package, 0) + own
    for package, own in sorted(packages.items(), key=lambda item: -item[1])[:8]:
        print(f"          {own / 1000:6.1f} ms  {package}")
    if ours / baseline > BUDGET_RATIO:
        sys.exit(f"the app costs {ours / baseline:.2f} times a bare one at a cold start: import later what is above")


if __name__ == "__main__":
    main()
