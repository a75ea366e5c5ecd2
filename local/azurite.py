"""Azurite, the storage emulator, as the estate's blob service: over TLS and with tokens, as Azure's own."""

import base64
import os
import platform
import secrets
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from local import processes
from local.azure.certificates import IssuedCertificate

DEFAULT_ACCOUNT = "devstoreaccount1"
OLDEST_NODE = 22

_CHECKOUT = Path(__file__).parents[1]
_BLOB_SERVICE = Path("azurite", "dist", "src", "blob", "main.js")
_LISTENING = "successfully listens on"
_START_ATTEMPTS = 3


class AzuriteError(Exception):
    """Azurite cannot be started; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Azurite:
    """A running blob service. `keys` holds each account's shared key, for those who do not come with a token."""

    child: processes.Child
    port: int
    keys: Mapping[str, str] = field(repr=False)

    @property
    def blob_url(self) -> str:
        """The first account's endpoint."""
        return self.account_url(next(iter(self.keys)))

    def account_url(self, account: str) -> str:
        return f"https://127.0.0.1:{self.port}/{account}"

    def stop(self) -> None:
        self.child.stop()


def start(
    folder: Path,
    certificate: IssuedCertificate,
    *,
    accounts: Sequence[str] = (DEFAULT_ACCOUNT,),
    in_memory: bool = False,
    port: int | None = None,
    timeout: float = 60.0,
) -> Azurite:
    """Start the blob service and return when it answers; raises AzuriteError.

    `folder` receives the log, and the blobs unless they stay `in_memory`. The certificate must be for 127.0.0.1.
    Tokens are checked for audience, issuer and lifetime; signatures and roles are not (see docs/fidelity.md).
    """
    folder.mkdir(parents=True, exist_ok=True)
    keys = {account: base64.b64encode(secrets.token_bytes(64)).decode() for account in accounts}
    for attempt in range(1, _START_ATTEMPTS + 1):
        chosen = port or processes.free_port()
        log = folder / f"azurite-{chosen}.log"
        log.touch()
        log_start = len(log.read_text(errors="replace"))
        child = processes.start(
            _command(folder / "azurite", certificate, chosen, in_memory=in_memory),
            log=log,
            env={
                "PATH": os.environ.get("PATH", ""),
                "AZURITE_ACCOUNTS": ";".join(f"{account}:{key}" for account, key in keys.items()),
            },
        )
        try:
            _wait_until_it_listens(child, log, log_start, timeout)
        except AzuriteError as error:
            child.stop()
            if port or "EADDRINUSE" not in str(error) or attempt == _START_ATTEMPTS:
                raise
        else:
            return Azurite(child, chosen, keys)
    raise AssertionError("the last attempt returns or raises")


@cache
def node_path(modules: Path = _CHECKOUT / "node_modules") -> Path:
    """A Node.js that Azurite accepts: the system's own when new enough, else the one that `npm ci` brings on Linux."""
    on_path = shutil.which("node")
    machine = {"x86_64": "x64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    packaged = modules / f"node-{platform.system().lower()}-{machine}" / "bin" / "node"
    for node in (Path(on_path) if on_path else None, packaged if packaged.exists() else None):
        if node is not None and _major_version(node) >= OLDEST_NODE:
            return node
    raise AzuriteError(
        f"Azurite needs Node.js {OLDEST_NODE} or newer and none was found: run `npm ci --ignore-scripts` here "
        f"(on Linux it brings one), or install Node.js {OLDEST_NODE} (macOS: brew)"
    )


def _command(location: Path, certificate: IssuedCertificate, port: int, *, in_memory: bool) -> list[str | Path]:
    program = _CHECKOUT / "node_modules" / _BLOB_SERVICE
    if not program.exists():
        raise AzuriteError("Azurite is not installed: run `npm ci --ignore-scripts` in the checkout")
    return [
        node_path(),
        program,
        *("--blobHost", "127.0.0.1", "--blobPort", str(port)),
        *("--oauth", "basic", "--cert", certificate.certificate, "--key", certificate.key),
        *(("--inMemoryPersistence",) if in_memory else ("--location", location)),
        "--skipApiVersionCheck",  # the SDK asks for a newer API version than Azurite's newest
        "--disableTelemetry",
        "--silent",
    ]


def _wait_until_it_listens(child: processes.Child, log: Path, log_start: int, timeout: float) -> None:
    """Wait for Azurite's own word: an answer on the port might be another program's."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        output = log.read_text(errors="replace")[log_start:]
        if _LISTENING in output:
            return
        if not child.running:
            raise AzuriteError(f"Azurite ended with code {child.returncode}; its log ends: {output[-500:].strip()}")
        time.sleep(0.05)
    raise AzuriteError(f"Azurite does not listen after {timeout:.0f} s; see {log}")


def _major_version(node: Path) -> int:
    try:
        answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=True, timeout=30).stdout
    except (OSError, subprocess.SubprocessError):
        return 0
    number = answer.strip().removeprefix("v").split(".")[0]
    return int(number) if number.isdigit() else 0
