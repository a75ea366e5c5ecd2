"""What can be wrong with a dump, each kind with a word of its own."""

from enum import StrEnum


class Damage(StrEnum):
    """Why a dump is not proven. The values are what reports and events say."""

    EMPTY = "empty"
    NOT_A_DUMP = "not a dump"
    TRUNCATED_HEADER = "truncated in the header"
    TRUNCATED_CONTENTS = "truncated in the table of contents"
    TRUNCATED_DATA = "truncated in the data"
    CORRUPT_CONTENTS = "corrupt table of contents"
    CORRUPT_DATA = "corrupt data"
    WRONG_VERSION = "wrong version"
    WRONG_DATABASE = "another database's dump"
    MISSING_PART = "missing part"
    CHECKSUM = "checksum differs"
    MANIFEST = "unreadable checksum"
    NO_KEY = "no key"
    WRONG_KEY = "wrong key"
    CORRUPT_ENCRYPTION = "corrupt encryption"
    UNSUPPORTED = "not supported"
    CHANGED = "changed while it was read"
    GONE = "gone"
    TOO_SLOW = "not done in time"
    RESTORE_FAILED = "does not restore"


class DamagedDumpError(Exception):
    """The dump is not proven; `damage` is the word, the message says where and what to do."""

    def __init__(self, damage: Damage, message: str) -> None:
        super().__init__(message)
        self.damage = damage
