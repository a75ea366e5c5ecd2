"""Writing age files, so that tests can encrypt dumps without the program; `test_age` holds it against a real file."""

import base64
import hmac
import secrets

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_LETTERS = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_PREFIX = "age-secret-key-"


def identity(key: X25519PrivateKey) -> str:
    """The private key as AGE-SECRET-KEY-1..."""
    bits = "".join(f"{byte:08b}" for byte in key.private_bytes_raw()) + "0000"
    values = [int(bits[at : at + 5], 2) for at in range(0, len(bits), 5)]
    expanded = [ord(letter) >> 5 for letter in _PREFIX] + [0] + [ord(letter) & 31 for letter in _PREFIX]
    check = _polymod(expanded + values + [0] * 6) ^ 1
    values += [(check >> 5 * (5 - index)) & 31 for index in range(6)]
    return (f"{_PREFIX}1" + "".join(_LETTERS[value] for value in values)).upper()


def encrypt(content: bytes, key: X25519PrivateKey) -> bytes:
    """An age file for that key."""
    file_key, ephemeral = secrets.token_bytes(16), X25519PrivateKey.generate()
    share, recipient = ephemeral.public_key().public_bytes_raw(), key.public_key().public_bytes_raw()
    wrapping = _derive(ephemeral.exchange(key.public_key()), share + recipient, b"age-encryption.org/v1/X25519")
    body = ChaCha20Poly1305(wrapping).encrypt(bytes(12), file_key, None)
    header = b"age-encryption.org/v1\n-> X25519 " + _text(share) + b"\n" + _text(body) + b"\n---"
    mac = hmac.digest(_derive(file_key, b"", b"header"), header, "sha256")
    nonce = secrets.token_bytes(16)
    cipher = ChaCha20Poly1305(_derive(file_key, nonce, b"payload"))
    blocks = [content[at : at + 65536] for at in range(0, len(content), 65536)] or [b""]
    sealed = [
        cipher.encrypt(number.to_bytes(11, "big") + bytes([number == len(blocks) - 1]), block, None)
        for number, block in enumerate(blocks)
    ]
    return header + b" " + _text(mac) + b"\n" + nonce + b"".join(sealed)


def _text(data: bytes) -> bytes:
    return base64.b64encode(data).rstrip(b"=")


def _derive(secret: bytes, salt: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=info).derive(secret)


def _polymod(values: list[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for index, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            check ^= generator if top >> index & 1 else 0
    return check
