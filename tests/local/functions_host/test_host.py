"""The host itself: indexing errors, the admin API, logs, its files, the command."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from local.functions_host import ConfigError, HostNotReadyError, Keys, read_local_settings
from local.functions_host.config import HostJson, Settings
from local.functions_host.logs import HostLog

from .conftest import APP, Running, Start, until

REPOSITORY = Path(__file__).parents[3]
HEAD = "import azure.functions as func\napp = func.FunctionApp()\n"


def write_app(folder: Path, code: str, host_json: str = '{"version": "2.0"}') -> Path:
    folder.mkdir()
    (folder / "host.json").write_text(host_json)
    (folder / "function_app.py").write_text(code)
    return folder


class TestIndexing:
    @pytest.mark.parametrize(
        ("code", "expected"),
        [
            (
                HEAD + "@app.route(route='a')\ndef broken(request, surplus) -> str: ...\n",
                "FunctionLoadError: cannot load the broken function: the following parameters are declared in Python",
            ),
            ("import no_such_module\n", "ModuleNotFoundError: No module named 'no_such_module'"),
            ("x = 1\n", "ValueError: Could not find top level function app instances in function_app.py"),
            ("def f(:\n", "SyntaxError: "),
            ("import os\nos._exit(3)\n", "The worker ended with code 3 while it loaded the app"),
        ],
    )
    def test_an_app_that_cannot_be_loaded(self, start_host: Start, tmp_path: Path, code: str, expected: str) -> None:
        app = start_host(app=write_app(tmp_path / "app", code), wait=False)
        with pytest.raises(HostNotReadyError) as raised:
            app.host.wait_ready()
        assert expected in str(raised.value)
        response = app.client.get("/api/a")
        assert (response.status_code, response.text) == (503, "Function host is not running.")
        assert app.client.get("/runtime/webhooks/eventgrid", params={"code": app.host.master_key}).status_code in (
            401,
            503,
        )
        status = app.admin.get("/admin/host/status").json()
        assert status["state"] == "Error"
        assert expected in status["errors"][0]
        assert app.admin.post("/admin/functions/x", json={"input": ""}).status_code == 404
        assert app.client.get("/admin/host/ping").status_code == 200

    def test_single_functions_in_error(self, start_host: Start, tmp_path: Path) -> None:
        code = HEAD + (
            "@app.timer_trigger(arg_name='t', schedule='every day')\n"
            "def badly_timed(t: func.TimerRequest) -> None: ...\n"
            "@app.timer_trigger(arg_name='t', schedule='%NOWHERE%')\n"
            "def unset(t: func.TimerRequest) -> None: ...\n"
            "@app.route(route='{id:integer}')\n"
            "def badly_routed(req: func.HttpRequest) -> str: ...\n"
            "@app.route(route='good', auth_level='ANONYMOUS')\n"
            "def good(req: func.HttpRequest) -> str:\n"
            "    return 'good'\n"
        )
        app = start_host(app=write_app(tmp_path / "app", code))
        assert app.client.get("/api/good").text == "good"
        assert app.client.get("/api/1").status_code == 404
        status = app.admin.get("/admin/host/status").json()
        assert status["state"] == "Running"
        assert status["errors"] == app.host.errors
        timed, routed, unset = sorted(status["errors"])[1], sorted(status["errors"])[0], sorted(status["errors"])[2]
        assert "Error indexing method 'Functions.badly_timed'. The schedule expression 'every day' was not" in timed
        assert "'Functions.badly_routed'. The route template 'api/{id:integer}' is invalid" in routed
        assert "'Functions.unset'. Microsoft.Azure.WebJobs.Host: '%NOWHERE%' does not resolve to a value." in unset
        assert app.admin.get("/admin/functions/unset/status").json()["errors"] == [unset]
        assert app.admin.post("/admin/functions/unset", json={"input": ""}).status_code == 400

    def test_triggers_and_bindings_of_other_kinds(self, start_host: Start, tmp_path: Path) -> None:
        code = HEAD + (
            "@app.queue_trigger(arg_name='message', queue_name='q', connection='c')\n"
            "@app.blob_output(arg_name='out', path='a/b', connection='c')\n"
            "def queued(message: func.QueueMessage, out: func.Out[str]) -> None: ...\n"
        )
        app = start_host(app=write_app(tmp_path / "app", code))
        warnings = [log["message"] for log in app.logs() if log["level"] == "Warning"]
        assert "'queued' has a queueTrigger, which never fires here; run it by the admin API." in warnings
        assert "'queued' has a binding of type blob, which does nothing here." in warnings

    def test_a_reserved_route(self, start_host: Start, tmp_path: Path) -> None:
        code = HEAD + "@app.route(route='admin/x')\ndef mine(req: func.HttpRequest) -> str: ...\n"
        prefix = '{"version": "2.0", "extensions": {"http": {"routePrefix": ""}}}'
        app = start_host(app=write_app(tmp_path / "app", code, prefix))
        assert "conflicts with one or more built in routes" in app.host.errors[0]

    def test_the_worker_sees_only_the_app(self, start_host: Start, tmp_path: Path) -> None:
        code = HEAD + (
            "import os, sys\n"
            "@app.route(route='seen', auth_level='ANONYMOUS')\n"
            "def seen(req: func.HttpRequest) -> str:\n"
            "    import json\n"
            "    return json.dumps({'path': sys.path, 'env': dict(os.environ), 'host': 'uvicorn' in sys.modules})\n"
        )
        os.environ["CLOSEKEEPER_LEAK"] = "1"
        try:
            app = start_host(app=write_app(tmp_path / "app", code), settings={"MINE": "x"})
        finally:
            del os.environ["CLOSEKEEPER_LEAK"]
        seen = app.client.get("/api/seen").json()
        assert seen["host"] is False
        assert str(REPOSITORY) not in seen["path"]
        assert seen["path"][0] == str(tmp_path / "app")
        assert "CLOSEKEEPER_LEAK" not in seen["env"]
        assert "PYTHONPATH" not in seen["env"]
        assert (seen["env"]["MINE"], seen["env"]["FUNCTIONS_WORKER_RUNTIME"]) == ("x", "python")


class TestAdmin:
    def test_needs_the_master_key(self, app: Running) -> None:
        for path in ("host/status", "functions", "functions/echo", "faults", "nowhere"):
            assert httpx.get(f"{app.host.url}/admin/{path}").status_code == 401
            assert app.client.get(f"/admin/{path}").status_code == 401
        assert httpx.get(f"{app.host.url}/admin/host/ping").status_code == 200

    def test_status(self, app: Running) -> None:
        status = app.admin.get("/admin/host/status").json()
        assert (status["state"], status["errors"]) == ("Running", [])

    def test_functions(self, app: Running) -> None:
        functions = {function["name"]: function for function in app.admin.get("/admin/functions").json()}
        assert functions["item_by_number"]["invoke_url_template"] == f"{app.host.url}/api/items/{{id:int}}"
        assert functions["switched_off"]["isDisabled"] is True
        one = app.admin.get("/admin/functions/HOURLY").json()
        assert one["config"]["bindings"][0]["schedule"] == "0 0 * * * *"
        assert app.admin.get("/admin/functions/nobody").status_code == 404
        assert app.admin.get("/admin/functions/hourly/status").json() == {"errors": None}

    def test_an_activity_by_hand(self, app: Running) -> None:
        assert app.admin.post("/admin/functions/once", json={"input": '"by hand"'}).status_code == 202
        until(app.effects, lambda effects: "once by hand" in effects)

    @pytest.mark.parametrize(
        ("function", "body", "status"),
        [
            ("nobody", b'{"input": ""}', 404),
            ("hourly", b"", 400),
            ("hourly", b"[1]", 400),
            ("chain", b'{"input": ""}', 400),
            ("counter", b'{"input": ""}', 400),
            ("echo", b'{"input": ""}', 400),
        ],
    )
    def test_refused(self, app: Running, function: str, body: bytes, status: int) -> None:
        assert app.admin.post(f"/admin/functions/{function}", content=body).status_code == status


class TestLogs:
    def test_invocations_and_the_apps_records(self, app: Running) -> None:
        app.client.get("/api/out")
        record = until(lambda: [log for log in app.logs() if "stock of oats is low" in log["message"]])[0]
        assert (record["level"], record["category"], record["logger"]) == (
            "Warning",
            "Function.out_binding.User",
            "shop",
        )
        ends = [log for log in app.logs() if log.get("invocation") == record["invocation"]]
        messages = [log["message"] for log in ends]
        assert "Executing 'Functions.out_binding'" in messages
        assert "Executed 'Functions.out_binding' (Succeeded)" in messages

    def test_failures_with_the_stack_and_without_secrets(self, app: Running) -> None:
        app.client.get("/api/fails", params={"code": app.host.function_key})
        failures = [log for log in app.logs() if "(Failed)" in log["message"]]
        assert "RuntimeError: a secret of the inside: code=***" in failures[-1]["message"]
        assert "Traceback" in failures[-1]["message"]
        text = app.host.log.path.read_text()
        assert "hush-hush" not in text
        assert not [key for key in app.host.keys.all() if key in text]

    def test_what_is_hidden(self, tmp_path: Path) -> None:
        log = HostLog(tmp_path / "log")
        log.hide(["very-secret-key", "short"])
        log.write("Error", "x", "very-secret-key Bearer abc.def ?sig=a%2Fb&x=1 password=p;Server=s short")
        log.close()
        assert log.read()[0]["message"] == "*** Bearer *** ?sig=***&x=1 password=***;Server=s short"


class TestFiles:
    def test_keys_are_made_once_and_are_private(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        keys = Keys.load_or_generate(path)
        assert Keys.load_or_generate(path) == keys
        assert path.stat().st_mode & 0o077 == 0
        assert len(set(keys.all())) == 4

    def test_a_broken_keys_file(self, tmp_path: Path) -> None:
        path = tmp_path / "keys.json"
        path.write_text('{"master": "x", "hosts": {}}')
        with pytest.raises(ValueError, match=r"keys\.json: not a keys file"):
            Keys.load_or_generate(path)

    def test_one_host_per_data_folder(self, start_host: Start, tmp_path: Path) -> None:
        start_host(data=tmp_path / "same", wait=False)
        with pytest.raises(ConfigError, match="another host uses this data folder"):
            start_host(data=tmp_path / "same")

    def test_a_taken_port(self, start_host: Start, tmp_path: Path) -> None:
        port = start_host(wait=False).host.port
        with pytest.raises(ConfigError, match=f"127.0.0.1:{port}: Address already in use"):
            start_host(data=tmp_path / "other", port=port)

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            (None, "not found"),
            ("{", "host.json: "),
            ("{}", 'version must be "2.0"'),
            ('{"version": "2.0", "functionTimeout": "soon"}', "'soon' is not a time span"),
        ],
    )
    def test_host_json_errors(self, tmp_path: Path, text: str | None, reason: str) -> None:
        if text is not None:
            (tmp_path / "host.json").write_text(text)
        with pytest.raises(ConfigError, match=reason):
            HostJson.read(tmp_path, {})

    def test_host_json(self) -> None:
        settings = {"AzureFunctionsJobHost__extensions__durableTask__maxConcurrentOrchestratorFunctions": "7"}
        host_json = HostJson.read(APP, settings)
        assert (host_json.route_prefix, host_json.task_hub) == ("api", "TestHub")
        assert (host_json.max_activities, host_json.max_orchestrators) == (3, 7)
        assert HostJson.read(APP, {"AzureFunctionsJobHost__functionTimeout": "-1"}).function_timeout is None

    def test_local_settings(self, tmp_path: Path) -> None:
        path = tmp_path / "local.settings.json"
        path.write_text('{"IsEncrypted": false, "Values": {"A": "1", "B": 2}}')
        assert read_local_settings(path) == {"A": "1", "B": "2"}
        path.write_text("nonsense")
        with pytest.raises(ConfigError, match=r"local\.settings\.json"):
            read_local_settings(path)

    def test_settings(self) -> None:
        settings = Settings({"Size": "10", "AzureWebJobs.tick.Disabled": "TRUE", "AzureWebJobs__tock__Disabled": "1"})
        assert settings.resolve("a %SIZE% b%size%") == "a 10 b10"
        assert settings.resolve("50 % off") == "50 % off"
        assert [settings.is_disabled(name) for name in ("tick", "Tock", "other")] == [True, True, False]


def test_the_command(tmp_path: Path) -> None:
    settings = tmp_path / "local.settings.json"
    settings.write_text(json.dumps({"Values": {"NIGHTLY": "0 0 1 * * *", "EFFECTS": str(tmp_path / "effects")}}))
    argv = [sys.executable, "-m", "local.functions_host", "--app", APP, "--data", tmp_path / "data", "--port", "0"]
    environment = {**os.environ, "FUNCTIONS_HOST_FAULTS": '{"seed": 5}'}
    more = ["--settings", settings, "--keys", tmp_path / "k.json", "--set", "AzureWebJobs.echo.Disabled=1"]
    process = subprocess.Popen([*argv, *more], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY, env=environment)
    assert process.stdout is not None
    try:
        printed = ""
        while "Ctrl-C" not in printed:
            line = process.stdout.readline()
            assert line, printed
            printed += line
        assert "\techo: disabled\n" in printed
        assert f"Keys: {tmp_path / 'k.json'}" in printed
        url = next(line.split()[-1] for line in printed.splitlines() if "text:" in line)
        assert httpx.get(url).text == "plain ä"
        master = Keys.load_or_generate(tmp_path / "k.json").master
        faults = httpx.get(url.replace("/api/text", "/admin/faults"), headers={"x-functions-key": master})
        assert faults.json()["seed"] == 5
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(20) == 0


@pytest.mark.parametrize("arguments", [["--set", "X"], ["--settings", "nowhere.json"], ["--app", "nowhere"]])
def test_the_command_refuses(tmp_path: Path, arguments: list[str]) -> None:
    argv = [sys.executable, "-m", "local.functions_host", "--app", APP, "--data", tmp_path / "data", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    assert done.returncode == 2
    assert done.stderr.startswith("functions host: ")
    assert "Traceback" not in done.stderr
