"""Published bank holidays on weekdays, 2024 to 2030, transcribed by hand from the sources named here.

England and Wales: GOV.UK, "UK bank holidays" (www.gov.uk/bank-holidays), transcribed for 2024 to 2028.
The page itself could not be read here (only a secondary report of it): compare before relying on it. For 2029 and 2030
nothing is published yet: the statutory rules are applied (Banking and Financial Dealings Act 1971, schedule 1; New
Year's Day and Early May by proclamation; substitute days on the next weekdays).

TARGET: European Central Bank, "Long-term calendar for TARGET closing days", press release of 14 December 2000, in
force "until further notice" since 2002; so all seven years are official. The Easter dates are Gregorian.

Frankfurt: for paper transactions the Deutsche Bundesbank's national business days are Monday to Friday but for
statutory holidays, 24 and 31 December. Statutory holidays of Hesse: Hessisches Feiertagsgesetz, section 1, in force for
all seven years.

Federal Reserve Banks: Federal Reserve Bank of St. Louis, "Holiday Schedule" for 2024 and 2025; Board of Governors,
"K.8 Holidays Observed by the Federal Reserve System 2026-2030". A holiday on a Saturday leaves the Friday open; one on
a Sunday closes the Monday. All seven years are official.
"""

from datetime import date

_ENGLAND_AND_WALES = {
    2024: "01-01 03-29 04-01 05-06 05-27 08-26 12-25 12-26",
    2025: "01-01 04-18 04-21 05-05 05-26 08-25 12-25 12-26",
    2026: "01-01 04-03 04-06 05-04 05-25 08-31 12-25 12-28",
    2027: "01-01 03-26 03-29 05-03 05-31 08-30 12-27 12-28",
    2028: "01-03 04-14 04-17 05-01 05-29 08-28 12-25 12-26",
    2029: "01-01 03-30 04-02 05-07 05-28 08-27 12-25 12-26",
    2030: "01-01 04-19 04-22 05-06 05-27 08-26 12-25 12-26",
}
_TARGET = {
    2024: "01-01 03-29 04-01 05-01 12-25 12-26",
    2025: "01-01 04-18 04-21 05-01 12-25 12-26",
    2026: "01-01 04-03 04-06 05-01 12-25",
    2027: "01-01 03-26 03-29",
    2028: "04-14 04-17 05-01 12-25 12-26",
    2029: "01-01 03-30 04-02 05-01 12-25 12-26",
    2030: "01-01 04-19 04-22 05-01 12-25 12-26",
}
_FRANKFURT = {
    2024: "01-01 03-29 04-01 05-01 05-09 05-20 05-30 10-03 12-24 12-25 12-26 12-31",
    2025: "01-01 04-18 04-21 05-01 05-29 06-09 06-19 10-03 12-24 12-25 12-26 12-31",
    2026: "01-01 04-03 04-06 05-01 05-14 05-25 06-04 12-24 12-25 12-31",
    2027: "01-01 03-26 03-29 05-06 05-17 05-27 12-24 12-31",
    2028: "04-14 04-17 05-01 05-25 06-05 06-15 10-03 12-25 12-26",
    2029: "01-01 03-30 04-02 05-01 05-10 05-21 05-31 10-03 12-24 12-25 12-26 12-31",
    2030: "01-01 04-19 04-22 05-01 05-30 06-10 06-20 10-03 12-24 12-25 12-26 12-31",
}
_FEDERAL_RESERVE = {
    2024: "01-01 01-15 02-19 05-27 06-19 07-04 09-02 10-14 11-11 11-28 12-25",
    2025: "01-01 01-20 02-17 05-26 06-19 07-04 09-01 10-13 11-11 11-27 12-25",
    2026: "01-01 01-19 02-16 05-25 06-19 09-07 10-12 11-11 11-26 12-25",
    2027: "01-01 01-18 02-15 05-31 07-05 09-06 10-11 11-11 11-25",
    2028: "01-17 02-21 05-29 06-19 07-04 09-04 10-09 11-23 12-25",
    2029: "01-01 01-15 02-19 05-28 06-19 07-04 09-03 10-08 11-12 11-22 12-25",
    2030: "01-01 01-21 02-18 05-27 06-19 07-04 09-02 10-14 11-11 11-28 12-25",
}


def _dates(by_year: dict[int, str]) -> frozenset[date]:
    return frozenset(date.fromisoformat(f"{year}-{day}") for year, days in by_year.items() for day in days.split())


ENGLAND_AND_WALES = _dates(_ENGLAND_AND_WALES)
TARGET = _dates(_TARGET)
FRANKFURT = _dates(_FRANKFURT)
FEDERAL_RESERVE = _dates(_FEDERAL_RESERVE)
