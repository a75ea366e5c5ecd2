"""How much a change can harm: one scale for what is declared and what is decided."""

from enum import StrEnum


class Risk(StrEnum):
    """What a change can do at worst."""

    REVERSIBLE = "reversible"
    DISRUPTIVE = "disruptive"
    IRREVERSIBLE = "irreversible"
    FINANCIAL = "financial"
