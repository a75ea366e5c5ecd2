"""The host's log: one JSON object per line, without secrets."""

import json
import re
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

Level = Literal["Trace", "Debug", "Information", "Warning", "Error", "Critical"]
_LEVELS = {"DEBUG": "Debug", "INFO": "Information", "WARNING": "Warning", "ERROR": "Error", "CRITICAL": "Critical"}
_SECRETS = re.compile(r"(?i)(\b(?:code|sig|password|pwd|accountkey|sharedaccesskey)=|\bbearer\s+)[^\s&;,'\"]+")


class HostLog:
    """Appends to `path`; may be called from any thread."""

    def __init__(self, path: Path, echo: Callable[[str], None] | None = None) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._file = path.open("a", buffering=1, encoding="utf-8")
        self._lock = threading.Lock()
        self._secrets: list[str] = []
        self._echo = echo

    def hide(self, secrets: Iterable[str]) -> None:
        """Never write these texts."""
        self._secrets += [secret for secret in secrets if len(secret) >= 8]

    def write(self, level: Level, category: str, message: str, **fields: Any) -> None:
        message = self._without_secrets(message)
        record = {"time": datetime.now(UTC).isoformat(), "level": level, "category": category, "message": message}
        record.update({key: value for key, value in fields.items() if value is not None})
        line = json.dumps(record, default=str)
        with self._lock:
            if not self._file.closed:
                self._file.write(line + "\n")
        if self._echo is not None:
            self._echo(f"[{record['time']}] {message}")

    def write_worker_record(self, frame: dict[str, Any], function: str | None) -> None:
        """Write a record of the worker's logging."""
        level = _LEVELS.get(frame["level"], "Information")
        category = f"Function.{function}.User" if function else f"Worker.{frame['category']}"
        self.write(
            level,  # type: ignore[arg-type]
            category,
            frame["message"],
            logger=frame["category"],
            function=function,
            invocation=frame["invocation"],
        )

    def read(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]

    def close(self) -> None:
        with self._lock:
            self._file.close()

    def _without_secrets(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, "***")
        return _SECRETS.sub(r"\1***", text) if "=" in text or "earer" in text else text
