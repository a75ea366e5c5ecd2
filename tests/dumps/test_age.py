"""Decrypting age files: one that rage wrote, and ours of every size around its blocks, whole and injured."""

import base64
import secrets

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from shared.backup_verification.dumps.age import decrypt
from shared.backup_verification.dumps.content import examine_content
from shared.backup_verification.dumps.damage import Damage, DamagedDumpError
from shared.backup_verification.dumps.levels import Level
from tests.dumps.conftest import Made
from tests.dumps.encrypting import encrypt, identity
from tests.dumps.making import flip
from tests.dumps.memory import Container

BY_RAGE = base64.b64decode(
    "YWdlLWVuY3J5cHRpb24ub3JnL3YxCi0+IFgyNTUxOSA4Y1ZVcTBJcjJDa0Y5L1Roc1U3WDFBeW9xNER2NWh0dU9YdmFOQytWT3hjCnZTWVMxc0Y5"
    "UURjbEFLeWtVbDd3aWRDbGdJcjYvS3NFZkJmeXBJVTNSL0kKLT4gWDI1NTE5IHZ1bjdCa1M4R25FNXltMEpUN0VkcnNLaFdFQTk2cCtmdm9KZmZ5"
    "S3JtQmMKNzFWWUpBSjh4aFdOR3lEUnUwUUtYTTNYbDVRVU1zNHpLdkh1NnEvUjNnMAotPiA2JWQqLWdyZWFzZSBFJChLLX1UICRVdC5eMj0KRmJn"
    "Y2VaWEpKb2hXMDVpTzdBWG1qaDlYSHVuTGl3YU9FLzR5Ci0tLSBZeEZFSkN3V204cXVCRjR3NU9QMVBldHJxNmJYa3M1QkVnYWw1ZEJVcjVzCiWs"
    "KCwcJd8Z0eSXjjUzKAEzQ3xbg/QUtMok0sWIvU5BmiVcu+jOHrUJCGb1mJkRSkttHPLh"
)
"""Written by rage (pyrage 1.4.0) for two recipients, the second is ours, with a line that readers must skip."""
OUR_KEY = "AGE-SECRET-KEY-1KFHWZRPRQGEFEWNML5SA90NJP2FFEC5AMHTC63VQGQKED9WQJD4QFZN5KW"

KEY = X25519PrivateKey.generate()


def opened(data: bytes, key: str = identity(KEY), piece: int = 7000) -> bytes:
    return b"".join(decrypt([data[at : at + piece] for at in range(0, len(data), piece)], key))


def damage(data: bytes, key: str = identity(KEY)) -> Damage:
    with pytest.raises(DamagedDumpError) as told:
        opened(data, key)
    return told.value.damage


def test_a_file_of_another_program_is_opened() -> None:
    assert opened(BY_RAGE, OUR_KEY) == b"PGDMP, or so it says\n"
    assert opened(BY_RAGE, f"# created: 2026-11-22\n{OUR_KEY}\n") == b"PGDMP, or so it says\n"
    assert damage(BY_RAGE) is Damage.WRONG_KEY


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 131072, 200000])
def test_every_size_around_the_blocks_is_opened_and_every_cut_told(size: int) -> None:
    content = secrets.token_bytes(size)
    data = encrypt(content, KEY)
    assert opened(data) == content
    for cut in (len(data) - 1, len(data) // 2, 50):
        assert damage(data[:cut]) is Damage.TRUNCATED_DATA
    assert damage(data + b"x") in (Damage.TRUNCATED_DATA, Damage.CORRUPT_ENCRYPTION)


def test_a_file_that_ends_at_the_end_of_a_block_is_told_as_cut() -> None:
    data = encrypt(bytes(131072), KEY)
    assert damage(data[: len(data) - 65552]) is Damage.TRUNCATED_DATA


def test_a_changed_header_a_changed_block_and_what_is_no_key_are_told() -> None:
    data = encrypt(bytes(200000), KEY)
    assert damage(flip(data, data.index(b"---") + 10)) is Damage.CORRUPT_ENCRYPTION
    assert damage(flip(data, len(data) // 2)) is Damage.CORRUPT_ENCRYPTION
    for key in ("", "password", OUR_KEY[:-1] + "Q", identity(KEY).replace("1", "2", 1)):
        assert damage(data, key) is Damage.WRONG_KEY


def test_an_encrypted_dump_is_proven_with_its_key_only(made: Made) -> None:
    data = encrypt(made.uncompressed.read_bytes(), KEY)

    def told(key: str, changed: bytes = data) -> tuple[Damage | None, Level | None]:
        content = examine_content(Container({"contoso.dump.age": changed}).open(), Level.DECODED, "contoso", key)
        assert content.encrypted or content.damage in (Damage.NO_KEY, Damage.WRONG_KEY)
        return content.damage, content.level

    assert told(identity(KEY)) == (None, Level.DECODED)
    assert told("") == (Damage.NO_KEY, None)
    assert told(OUR_KEY) == (Damage.WRONG_KEY, None)
    assert told(identity(KEY), flip(data, len(data) // 2)) == (Damage.CORRUPT_ENCRYPTION, Level.LISTED)
