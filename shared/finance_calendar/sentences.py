"""The words of the declaration's short sentences, and errors that say what would be right."""

import re
from collections.abc import Iterable, Sequence
from datetime import date
from difflib import SequenceMatcher, get_close_matches
from typing import NoReturn

WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
ORDINALS = (
    "first",
    "second",
    "third",
    "fourth",
    "fifth",
    "sixth",
    "seventh",
    "eighth",
    "ninth",
    "tenth",
    "eleventh",
    "twelfth",
)
_LONGEST = 200
_END = "the end of the sentence"
_TOKEN = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}:\d{2}|\d+(?:st|nd|rd|th)?|[a-z]+|\S")
# What people write, and what the grammar calls it.
_SYNONYMS = {
    "working": "business",
    "workday": "business day",
    "workdays": "business days",
    "banking": "business",
    "weekday": "business day",
    "financial": "fiscal",
    "previous": "preceding",
    "next": "following",
    "monthly": "month",
    "quarterly": "quarter",
    "yearly": "year",
    "annually": "year",
    "final": "last",
    "until": "to",
}


class SentenceError(ValueError):
    """A sentence that the calendar does not understand. The message says where, and what would be right."""


class Words:
    """A sentence read from left to right. Case and extra spaces do not matter."""

    def __init__(self, text: str, examples: Sequence[str]) -> None:
        self.text = " ".join(text.split())
        if len(self.text) > _LONGEST:
            raise SentenceError(f'"{self.text[:40]}...": longer than {_LONGEST} characters; say it in short sentences')
        self._examples = examples
        self._tokens = list(_TOKEN.finditer(self.text.lower()))
        self._at = 0

    def peek(self, ahead: int = 0) -> str:
        """The word `ahead` of the next one; empty beyond the end."""
        at = self._at + ahead
        return self._tokens[at].group() if at < len(self._tokens) else ""

    def date(self) -> date | None:
        """Take an ISO date. Raises SentenceError when it is written as one and does not exist."""
        found = self.match(r"\d{4}-\d{2}-\d{2}")
        if not found:
            return None
        try:
            return date.fromisoformat(found.group())
        except ValueError as error:
            self.reject(["a date that exists"], str(error))

    def accept(self, *phrases: str) -> str | None:
        """Take the first of the phrases (one or more words each) that comes next, or none."""
        for phrase in phrases:
            parts = phrase.split()
            if [self.peek(ahead) for ahead in range(len(parts))] == parts:
                self._at += len(parts)
                return phrase
        return None

    def expect(self, *phrases: str) -> str:
        """Take one of the phrases. Raises SentenceError when none comes next."""
        return self.accept(*phrases) or self.fail(phrases)

    def match(self, pattern: str) -> re.Match[str] | None:
        """Take the next word if it fits the pattern wholly."""
        found = re.fullmatch(pattern, self.peek())
        if found:
            self._at += 1
        return found

    def ordinal(self) -> int | None:
        """Take "first", "25th", "last" (-1) or "second last" (-2)."""
        if self.accept("last"):
            return -1
        word = self.peek()
        number = 0
        if word in ORDINALS:
            number = ORDINALS.index(word) + 1
        elif re.fullmatch(r"\d+(st|nd|rd|th)", word):
            number = int(word[:-2])
            if word != with_suffix(number) or number == 0:
                self.fail([with_suffix(max(number, 1))])
        if not number:
            return None
        self._at += 1
        return -number if self.accept("last") else number

    def end(self, *more: str) -> None:
        """Raises SentenceError unless the sentence ends here; `more` is what could still have come."""
        if self.peek():
            self.fail([_END, *more])

    def fail(self, expected: Sequence[str], hint: str = "", near: Sequence[str] = ()) -> NoReturn:
        """Raise SentenceError: what stands here, what could stand here, and the nearest sentence that would do.

        `near` are words that could stand here too, but are too many to list.
        """
        found = self.peek()
        before = self.text[: self._tokens[self._at].start()].strip() if found else self.text
        where = f'after "{before}"' if before else "at the beginning"
        said = f'"{found}"' if found else "nothing"
        nearest = None if hint else self._nearest([*(word for word in expected if word != _END), *near])
        if nearest:
            raise SentenceError(f'"{self.text}": {said} is not understood {where}; did you mean "{nearest}"?')
        remedy = hint or "for example " + " or ".join(f'"{example}"' for example in self._examples)
        raise SentenceError(f'"{self.text}": {where} comes {said}, but it should be {one_of(expected)}; {remedy}')

    def reject(self, expected: Sequence[str], hint: str) -> NoReturn:
        """Raise SentenceError about the word that was just taken."""
        self._at -= 1
        self.fail(expected, hint)

    def _nearest(self, expected: Iterable[str]) -> str | None:
        """The sentence with the nearest expected phrase in place of as many words as the phrase has."""
        best, sentence = 0.0, None
        for phrase in expected:
            synonym = _SYNONYMS.get(self.peek(), "")
            length = 1 if synonym == phrase else len(phrase.split())
            last = min(self._at + length, len(self._tokens)) - 1
            if last < self._at:
                continue
            start, end = self._tokens[self._at].start(), self._tokens[last].end()
            said = self.text[start:end].lower()
            known = synonym in (phrase, phrase.split()[0])
            near = 1.0 if known else SequenceMatcher(None, said, phrase).ratio()
            if near > best and near >= (0.6 if " " not in phrase else 0.75):
                best, sentence = near, self.text[:start] + phrase + self.text[end:]
        return sentence


def one_of(words: Sequence[str]) -> str:
    """The words as a person would list them: "a, b or c"."""
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))


def with_suffix(number: int) -> str:
    """1st, 2nd, 3rd, 4th, 11th."""
    tail = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{tail}"


def nearest_of(word: str, known: Iterable[str]) -> str:
    """`; did you mean "x"?` for the known word that is nearest, or nothing."""
    by_lower = {name.lower(): name for name in known}
    close = get_close_matches(word.lower(), by_lower, n=1, cutoff=0.6)
    return f'; did you mean "{by_lower[close[0]]}"?' if close else ""
