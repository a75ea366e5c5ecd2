"""How far a dump was checked. Each level includes the ones before it."""

from enum import StrEnum


class Level(StrEnum):
    """The values are those of the estate's `DumpLevel`.

    `listed`: the table of contents can be read. `checksum`: every byte is the one that was dumped. `decoded`: all data
    can be unpacked. `restored`: PostgreSQL took it, and the books in it were checked.
    """

    LISTED = "listed"
    CHECKSUM = "checksum"
    DECODED = "decoded"
    RESTORED = "restored"

    def reaches(self, other: "Level") -> bool:
        """Whether this level is the other one or above it."""
        order = list(Level)
        return order.index(self) >= order.index(other)
