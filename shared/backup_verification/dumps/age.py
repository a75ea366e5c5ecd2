"""Decrypting age files (age-encryption.org/v1) with an X25519 identity, as a stream.

age is what `age` and `rage` write: every 64 KiB are authenticated, and so is the end, so that a cut, a swap and a
flipped bit all show. Source: the age specification (C2SP, `age.md`). The primitives are those of `cryptography`.
"""

import base64
import binascii
import hmac
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from shared.backup_verification.dumps.damage import Damage, DamagedDumpError
from shared.backup_verification.dumps.reading import EndOfStreamError, Reader

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

MAGIC = b"age-encryption.org/v1\n"

_CHUNK, _TAG = 64 << 10, 16
_MAX_HEADER_LINES = 1000
_MAX_LINE = 1024
_BECH32 = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_IDENTITY_PREFIX = "age-secret-key-"


def decrypt(chunks: Iterable[bytes], identity: str) -> Iterator[bytes]:
    """The content, piece by piece, each authenticated before it is given out.

    `identity` is the private key, AGE-SECRET-KEY-1... Raises DamagedDumpError: wrong key, corrupt or truncated.
    """
    reader = Reader(chunks)
    try:
        file_key = _file_key(reader, _private_key(identity))
        yield from _payload(reader, file_key)
    except EndOfStreamError:
        raise DamagedDumpError(
            Damage.TRUNCATED_DATA, f"the encrypted file ends too early, after {reader.position} bytes"
        ) from None


def _file_key(reader: Reader, key: "X25519PrivateKey") -> bytes:
    header = reader.take(len(MAGIC))
    found: bytes | None = None
    recipients: list[str] = []
    for _ in range(_MAX_HEADER_LINES):
        line = _line(reader)
        if line.startswith(b"--- "):
            if found is None:
                raise DamagedDumpError(
                    Damage.WRONG_KEY,
                    f"is not encrypted for the declared key (its recipients are of type {', '.join(recipients)})",
                )
            expected = hmac.digest(_derive(found, b"", b"header"), header + b"---", "sha256")
            if not hmac.compare_digest(expected, _unpadded(line[4:-1])):
                raise DamagedDumpError(Damage.CORRUPT_ENCRYPTION, "the header of the encrypted file was changed")
            return found
        header += line
        if line.startswith(b"-> "):
            kind, *arguments = line[3:-1].split(b" ")
            if not kind.endswith(b"-grease"):  # age writes such lines so that readers learn to skip them
                recipients.append(kind.decode("ascii", "replace")[:40])
            body = b""
            while True:
                part = _line(reader)
                header += part
                body += part[:-1]
                if len(part) <= 64:
                    break
            if kind == b"X25519" and found is None and len(arguments) == 1:
                found = _unwrap(key, _unpadded(arguments[0]), _unpadded(body))
    raise DamagedDumpError(Damage.CORRUPT_ENCRYPTION, "the header of the encrypted file has no end")


def _unwrap(key: "X25519PrivateKey", share: bytes, wrapped: bytes) -> bytes | None:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    try:
        secret = key.exchange(X25519PublicKey.from_public_bytes(share))
        salt = share + key.public_key().public_bytes_raw()
        wrapping = ChaCha20Poly1305(_derive(secret, salt, b"age-encryption.org/v1/X25519"))
        return wrapping.decrypt(bytes(12), wrapped, None)
    except (InvalidTag, ValueError):
        return None  # meant for somebody else


def _payload(reader: Reader, file_key: bytes) -> Iterator[bytes]:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    cipher = ChaCha20Poly1305(_derive(file_key, reader.take(16), b"payload"))
    number = 0
    while True:
        sealed = reader.peek(_CHUNK + _TAG)
        reader.take(len(sealed))
        last = reader.ended
        nonce = number.to_bytes(11, "big") + bytes([last])
        try:
            content = cipher.decrypt(nonce, sealed, None)
        except InvalidTag:
            if last and len(sealed) == _CHUNK + _TAG and _opens(cipher, number, sealed):
                raise EndOfStreamError from None
            what = "ends too early or was changed" if last else "was changed"
            damage = Damage.TRUNCATED_DATA if last and len(sealed) < _CHUNK + _TAG else Damage.CORRUPT_ENCRYPTION
            raise DamagedDumpError(damage, f"the encrypted file {what} in block {number + 1}") from None
        yield content
        if last:
            return
        number += 1


def _opens(cipher: "ChaCha20Poly1305", number: int, sealed: bytes) -> bool:
    """Whether this is a whole block that was not meant to be the last one."""
    from cryptography.exceptions import InvalidTag

    try:
        cipher.decrypt(number.to_bytes(11, "big") + b"\0", sealed, None)
    except InvalidTag:
        return False
    return True


def _line(reader: Reader) -> bytes:
    ahead = reader.peek(_MAX_LINE)
    end = ahead.find(b"\n")
    if end < 0:
        if len(ahead) < _MAX_LINE:
            raise EndOfStreamError
        raise DamagedDumpError(Damage.CORRUPT_ENCRYPTION, "the header of the encrypted file is none of age's")
    return reader.take(end + 1)


def _unpadded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        return b""


def _derive(secret: bytes, salt: bytes, info: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(secret)


def _private_key(identity: str) -> "X25519PrivateKey":
    """Raises DamagedDumpError, without the text: it may be the key."""
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    lines = [line.strip() for line in identity.splitlines() if line.strip() and not line.startswith("#")]
    secret = _bech32(lines[0].lower()) if len(lines) == 1 else None
    if secret is None:
        raise DamagedDumpError(
            Damage.WRONG_KEY, "the declared key is no identity of age: it must be one AGE-SECRET-KEY-1... line"
        )
    return X25519PrivateKey.from_private_bytes(secret)


def _bech32(text: str) -> bytes | None:
    prefix, _, data = text.rpartition("1")
    values = [_BECH32.find(letter) for letter in data]
    if prefix != _IDENTITY_PREFIX or min(values, default=-1) < 0:
        return None
    expanded = [ord(letter) >> 5 for letter in prefix] + [0] + [ord(letter) & 31 for letter in prefix]
    if _polymod(expanded + values) != 1:
        return None
    bits = "".join(f"{value:05b}" for value in values[:-6])
    whole = len(bits) // 8
    return int(bits[: whole * 8], 2).to_bytes(whole, "big") if whole == 32 else None


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for index, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> index & 1 else 0
    return check
