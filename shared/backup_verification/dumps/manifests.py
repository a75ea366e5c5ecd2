"""Checksums that were stored with a dump: a file as sha256sum writes it, metadata of the blob, its Content-MD5."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.backup_verification.dumps.damage import Damage, DamagedDumpError

SIDECAR = ".sha256"
FOLDER_MANIFEST = "SHA256SUMS"
METADATA = "sha256"
MAX_MANIFEST_BYTES = 16 << 20

_LINE = re.compile(r"\\?([0-9a-fA-F]{64})(?: [ *](.+))?")


@dataclass(frozen=True, slots=True)
class Expected:
    """One checksum that the content must have: where it is from, the algorithm, the digest in hexadecimal."""

    source: str
    algorithm: str
    digest: str


@dataclass(slots=True)
class Digests:
    """The checksums of a content as it passes by."""

    expected: Sequence[Expected]
    _running: dict[str, Any] = field(default_factory=dict[str, Any])

    def __post_init__(self) -> None:
        for each in self.expected:
            self._running.setdefault(each.algorithm, hashlib.new(each.algorithm, usedforsecurity=False))

    def update(self, piece: bytes) -> None:
        """Take the next piece."""
        for running in self._running.values():
            running.update(piece)

    def complaints(self) -> list[str]:
        """What does not fit, once everything has passed by."""
        found: list[str] = []
        for each in self.expected:
            digest = self._running[each.algorithm].hexdigest()
            if digest != each.digest:
                found.append(
                    f"its {each.algorithm} is {digest[:16]}..., and {each.digest[:16]}... according to {each.source}"
                )
        return found


def parse_manifest(text: str, source: str) -> dict[str, str]:
    """Digest by file name, the empty name for a line without one. Raises DamagedDumpError."""
    digests: dict[str, str] = {}
    for line in text.splitlines():
        if not line.strip() or line.startswith("#"):
            continue
        match = _LINE.fullmatch(line.rstrip())
        if match is None:
            raise DamagedDumpError(
                Damage.MANIFEST, f"{source} is not as sha256sum writes it: expected 64 hexadecimal digits and a name"
            )
        name = (match[2] or "").removeprefix("./")
        digests[name] = match[1].lower()
    if not digests:
        raise DamagedDumpError(Damage.MANIFEST, f"{source} is empty")
    return digests


def expected_of(
    name: str, manifest: Mapping[str, str] | None, metadata: Mapping[str, str], content_md5: bytes | None
) -> list[Expected]:
    """All checksums that a blob's content must have. Raises DamagedDumpError when its manifest is about others."""
    expected: list[Expected] = []
    base = name.rpartition("/")[2]
    if manifest is not None:
        named = {file.rpartition("/")[2]: digest for file, digest in manifest.items()}
        digest = named.get(base) or named.get("")
        if digest is None:
            raise DamagedDumpError(Damage.MANIFEST, f"the manifest of {base} does not name it")
        expected.append(Expected("its manifest", "sha256", digest))
    for key, value in metadata.items():
        if key.lower() == METADATA:
            expected.append(Expected("the blob's metadata", "sha256", value.strip().lower()))
    if content_md5:
        expected.append(Expected("the blob's Content-MD5", "md5", content_md5.hex()))
    return expected
