"""Business days of one region, and their arithmetic. Dates only: no clock, no time zone."""

from datetime import timedelta

from shared.finance_calendar.sentences import SentenceError, nearest_of

# No calendar is closed for so long; a declaration that closes everything must not loop for ever.
_LONGEST_CLOSURE = 366
DAY = timedelta(days=1)


class NoBusinessDayError(Exception):
    """The declaration leaves no business day within a year of a day that needs one."""


def check_holiday_source(source: str) -> None:
    """Raises SentenceError unless the library `holidays` knows the country, subdivision or financial calendar."""
    import holidays
    from holidays.registry import COUNTRIES, FINANCIAL

    countries = {code for codes in COUNTRIES.values() for code in codes[1:]}
    name, _, subdivision = source.partition("-")
    if name in countries:
        known = holidays.country_holidays(name).subdivisions
        if subdivision and subdivision not in known:
            hint = nearest_of(subdivision, known) or (f"; known: {', '.join(known)}" if known else "; it has none")
            raise SentenceError(f'"{source}": {name} has no subdivision "{subdivision}"{hint}')
        return
    centres = {code for codes in FINANCIAL.values() for code in codes[1:]}
    if source not in centres:
        raise SentenceError(
            f'"{source}" is neither a country (as DE or GB-ENG) nor a financial calendar (as ECB or FED)'
            f"{nearest_of(name, countries | centres)}"
        )
