"""The version is of what is declared, not of how it is written."""

import json

import yaml

from shared.estate.estate import version_of
from shared.estate.loading import load_estate
from tests.estate.files import EXAMPLES, SINGLE_COMPANY, SMALL, plain


def test_order_comments_quotes_and_anchors_do_not_change_it() -> None:
    version = load_estate(SMALL).version
    document = plain(SMALL)
    reordered = yaml.safe_dump(dict(reversed(document.items())), default_style='"')
    assert load_estate(reordered).version == version
    assert load_estate(json.dumps(document)).version == version
    assert load_estate("# Who reads this?\n" + SMALL.replace("rpo: 5m", "rpo:    5m   ")).version == version
    anchored = SMALL.replace("tier: critical", "tier: &best critical").replace(
        "estate: contoso", "estate: contoso # *best"
    )
    assert load_estate(anchored).version == version


def test_any_other_word_changes_it() -> None:
    version = load_estate(SMALL).version
    for one, other in (("rto: 2h", "rto: 120m"), ("[peak, freeze]", "[freeze, peak]"), ("pg-erp", "pg-erp2")):
        assert load_estate(SMALL.replace(one, other)).version != version


def test_it_does_not_depend_on_the_release_of_the_app() -> None:
    """Written down once: a new default, a new field or another library must not change the version of a file."""
    assert version_of({"b": [1, 0.5, True, None, "ü"], "a": {"x": "5m"}}) == (
        "sha256:572601a0a7aacc4d147f73d86a0d42196c67d4f554cf947927dd8c4a72ccf05c"
    )


def test_the_examples_have_versions_of_their_own() -> None:
    versions = {load_estate(file.read_bytes()).version for file in EXAMPLES}
    assert len(versions) == len(EXAMPLES)
    assert all(version.startswith("sha256:") and len(version) == 71 for version in versions)
    assert load_estate(SINGLE_COMPANY.read_bytes()).version in versions
