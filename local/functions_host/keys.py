"""Function, host, system and master keys, and who may call what with which."""

import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

type KeySet = Mapping[str, str]


@dataclass(frozen=True)
class Keys:
    """Keys by name. The file has the same four fields.

    - master: administrates the host and calls everything.
    - host: call every function. - functions: call that function. - system: call an extension's webhook, named
      `<extension>_extension`.
    """

    master: str
    host: KeySet = field(default_factory=dict[str, str])
    functions: Mapping[str, KeySet] = field(default_factory=dict[str, KeySet])
    system: KeySet = field(default_factory=dict[str, str])

    @classmethod
    def generate(cls) -> "Keys":
        extensions = ("eventgrid_extension", "durabletask_extension")
        return cls(_new_key(), {"default": _new_key()}, {}, {name: _new_key() for name in extensions})

    @classmethod
    def load_or_generate(cls, path: Path) -> "Keys":
        """Read the keys file; make it when absent. Raises ValueError that names the file and the field."""
        if not path.exists():
            keys = cls.generate()
            path.touch(mode=0o600)
            path.write_text(json.dumps(asdict(keys), indent=2) + "\n", encoding="utf-8")
            return keys
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            return cls(**data)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{path}: not a keys file (master, host, functions, system): {error}") from None

    def all(self) -> list[str]:
        per_function = [key for keys in self.functions.values() for key in keys.values()]
        return [self.master, *self.host.values(), *self.system.values(), *per_function]

    def allows(self, given: str | None, level: str, function: str = "") -> bool:
        """Whether a key opens `level`: anonymous, function (of `function`), system (of `function`) or admin."""
        if level == "anonymous":
            return True
        if not given:
            return False
        accepted = [self.master]
        if level == "function":
            accepted += [*self.host.values(), *self.functions.get(function, {}).values()]
        elif level == "system":
            accepted += [key for name, key in self.system.items() if name == function]
        # Every key is compared, so that the time says nothing about which one came close.
        matches = [hmac.compare_digest(given.encode(), key.encode()) for key in accepted]
        return any(matches)


def _new_key() -> str:
    return secrets.token_urlsafe(40)
