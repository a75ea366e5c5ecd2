"""Our canonical JSON, and the verifier's own, against RFC 8785 and against one another."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.evidence import verify
from shared.evidence.canonical import canonical, plain

# RFC 8785, sections 3.2.2 and 3.2.3, with the numbers that a record can hold.
PRIMITIVES = (
    rb'{"numbers": [333333333.33333329, 4.50, 2e-3, 0.000000000000000000000000001, 0, -0.0, 1.0, 56.0],'
    rb' "string": "\u20ac$\u000F\u000aA' + b"'" + rb'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}'
)
PRIMITIVES_CANONICAL = (
    '{"literals":[null,true,false],"numbers":[333333333.3333333,4.5,0.002,1e-27,0,0,1,56],'
    '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
).encode()
KEYS = {"\u20ac": 1, "\r": 2, "\ufb33": 3, "1": 4, "\U0001f600": 5, "\u0080": 6, "\u00f6": 7}
KEYS_IN_ORDER = [2, 4, 6, 7, 1, 5, 3]


def test_rfc_examples() -> None:
    assert canonical(json.loads(PRIMITIVES)) == PRIMITIVES_CANONICAL
    assert verify.canonical(json.loads(PRIMITIVES)).encode() == PRIMITIVES_CANONICAL
    for form in (canonical(plain(KEYS)), verify.canonical(KEYS).encode()):
        assert list(json.loads(form).values()) == KEYS_IN_ORDER


@pytest.mark.parametrize(
    ("number", "text"),  # RFC 8785, appendix B, as far as a record can hold them
    [
        (5e-324, "5e-324"),
        (-5e-324, "-5e-324"),
        (9007199254740991.0, "9007199254740991"),
        (333333333.3333332, "333333333.3333332"),
        (-0.0000033333333333333333, "-0.0000033333333333333333"),
        (1424953923781206.2, "1424953923781206.2"),
        (1e-6, "0.000001"),
        (1e-7, "1e-7"),
        (1.5e-9, "1.5e-9"),
        (-1e-10, "-1e-10"),
        (0.1, "0.1"),
    ],
)
def test_numbers(number: float, text: str) -> None:
    assert canonical(number) == verify.canonical(number).encode() == text.encode()


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(VALUES)
def test_both_write_the_same_and_read_it_back(value: object) -> None:
    made = plain(value)
    data = canonical(made)
    assert verify.canonical(made).encode() == data
    assert verify.parse(data) == (made, True)


@given(VALUES)
def test_any_other_form_is_seen(value: object) -> None:
    data = canonical(plain(value))
    for other in (json.dumps(json.loads(data)), json.dumps(json.loads(data), indent=1), data.decode() + " "):
        assert verify.parse(other.encode()) == (json.loads(data), other.encode() == data)


@pytest.mark.parametrize(
    "text",
    [
        '{"b":1,"a":2}',
        '{"a":1,"a":1}',
        "[1.0]",
        "[1e3]",
        "[1E-7]",
        "[0.50]",
        "[-0]",
        '["\\u0041"]',
        '["\\/"]',
        " [1]",
        "[1]\n",
        '{"\ufb33":1,"\U0001f600":2}',
    ],
)
def test_what_is_not_canonical(text: str) -> None:
    assert verify.parse(text.encode())[1] is False


@pytest.mark.parametrize("data", [b"", b"{", b"[NaN]", b"[Infinity]", b"[9007199254740993]", b"\xff", b"[" * 100_000])
def test_what_is_no_json_of_ours(data: bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  (json's own words)
        verify.parse(data)
