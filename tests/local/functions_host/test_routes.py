"""Route templates, without a host."""

import pytest

from local.functions_host.routes import Route, RouteError


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("a/b", "A/B", {}),
        ("a/b", "a/b/", {}),
        ("a/b", "a", None),
        ("{id:int}", "-5", {"id": "-5"}),
        ("{id:int}", "2147483648", None),
        ("{id:long}", "2147483648", {"id": "2147483648"}),
        ("{id:int}", "5x", None),
        ("{id:guid}", "11111111-2222-3333-4444-555555555555", {"id": "11111111-2222-3333-4444-555555555555"}),
        ("{id:guid}", "1111", None),
        ("{x:bool}", "TRUE", {"x": "TRUE"}),
        ("{x:bool}", "1", None),
        ("{x:alpha}", "abc", {"x": "abc"}),
        ("{x:alpha}", "ab1", None),
        ("{x:double}", "1.5e3", {"x": "1.5e3"}),
        ("{x:decimal}", "one", None),
        ("{d:datetime}", "2026-11-21", {"d": "2026-11-21"}),
        ("{d:datetime}", "21.11.", None),
        ("{x:length(3)}", "abc", {"x": "abc"}),
        ("{x:length(3)}", "ab", None),
        ("{x:length(2,3)}", "abcd", None),
        ("{x:minlength(2)}", "a", None),
        ("{x:maxlength(2)}", "abc", None),
        ("{x:min(5)}", "4", None),
        ("{x:max(5)}", "5", {"x": "5"}),
        ("{x:range(1,12)}", "13", None),
        ("{x:int:min(3)}", "2", None),
        ("{x:int:min(3)}", "3", {"x": "3"}),
        ("{period:regex(^\\d{4}-\\d{2}$)}", "2026-11", {"period": "2026-11"}),
        ("{period:regex(^\\d{4}-\\d{2}$)}", "2026-1", None),
        ("a/{x?}", "a", {}),
        ("a/{x?}", "a/1", {"x": "1"}),
        ("a/{x:int?}", "a", {}),
        ("a/{x:int?}", "a/b", None),
        ("a/{x=9}", "a", {"x": "9"}),
        ("a/{x=9}", "a/1", {"x": "1"}),
        ("a/{*rest}", "a", {}),
        ("a/{*rest}", "a/b/c", {"rest": "b/c"}),
        ("a/{**rest}", "a/b/c", {"rest": "b/c"}),
        ("f/{name}.{ext}", "f/report.pdf", {"name": "report", "ext": "pdf"}),
        ("v{n:int}/x", "v2/x", {"n": "2"}),
        ("a.b/{x}", "aXb/1", None),
        ("{a}/{b}", "1/2", {"a": "1", "b": "2"}),
        ("{x}", "%C3%A4%2Fb", {"x": "ä%2Fb"}),
    ],
)
def test_match(template: str, path: str, expected: dict[str, str] | None) -> None:
    assert Route.parse(template).match(path) == expected


def test_precedence() -> None:
    templates = ["{*rest}", "items/{name}", "items/{*rest}", "items/new", "items/{id:int}", "items/n-{name}"]
    ordered = sorted(templates, key=lambda template: Route.parse(template).precedence)
    assert ordered == [
        "items/new",
        "items/{id:int}",
        "items/n-{name}",
        "items/{name}",
        "items/{*rest}",
        "{*rest}",
    ]


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("a/{x", "unbalanced"),
        ("a/}", "unbalanced"),
        ("{x}/{X}", "twice"),
        ("{*rest}/a", "last"),
        ("{x:integer}", "constraint"),
        ("{x:min(a)}", "constraint"),
        ("{x:min}", "constraint"),
        ("{x:regex([)}", "pattern"),
        ("a/{}", "unbalanced"),
    ],
)
def test_errors(template: str, reason: str) -> None:
    with pytest.raises(RouteError, match=reason):
        Route.parse(template)
