"""Which document class a blob is of, and which blobs a selection means."""

# polars names numpy in its annotations, which is not installed.
# pyright: reportUnknownMemberType=false
import json
from collections.abc import Iterator

import polars as pl

from shared.storage_tiering.account import AccountRules, Selection
from shared.storage_tiering.frames import instant

_MANY = 8


def document_class(rules: AccountRules) -> pl.Expr:
    """The place of the blob's class in `rules.classes`; null when no class with a policy applies.

    Index tags go before folders, longer folders before shorter ones, folders before the container.
    """
    names = list(rules.classes)
    chosen = _by_folder(rules, names)
    for name, policy in reversed(list(rules.classes.items())):
        if policy.index_tags:
            chosen = (
                pl.when(has_tags(tuple(policy.index_tags.items())) & _in_container(rules))
                .then(pl.lit(names.index(name), pl.Int16))
                .otherwise(chosen)
            )
    return chosen


def has_tags(tags: tuple[tuple[str, str], ...]) -> pl.Expr:
    """Whether the blob carries all these index tags."""
    return pl.all_horizontal(
        pl.col("tags").str.json_path_match(f"$[{json.dumps(key)}]").eq(value).fill_null(value=False)
        for key, value in tags
    )


def is_selected(selection: Selection) -> pl.Expr:
    """Whether the selection means the blob."""
    conditions = [pl.col("path").str.starts_with(f"{selection.container}/{selection.prefix}")]
    if selection.created_from is not None:
        conditions.append(pl.col("created") >= instant(selection.created_from))
    if selection.created_until is not None:
        conditions.append(pl.col("created") < instant(selection.created_until))
    if selection.tags:
        conditions.append(has_tags(selection.tags))
    return pl.all_horizontal(conditions).fill_null(value=False)


def _by_folder(rules: AccountRules, names: list[str]) -> pl.Expr:
    places = sorted(_places(rules, names), key=lambda place: len(place[0]))
    containers = {place: index for place, index in places if place.count("/") == 1 and place.endswith("/")}
    if len(containers) > _MANY:  # one look-up is cheaper than many comparisons
        chosen = (
            pl.col("path")
            .str.extract(r"^([^/]*/)", 1)
            .replace_strict(list(containers), list(containers.values()), default=None, return_dtype=pl.Int16)
        )
        places = [place for place in places if place[0] not in containers]
    else:
        chosen = pl.lit(None, pl.Int16)
    for place, index in places:
        chosen = pl.when(pl.col("path").str.starts_with(place)).then(pl.lit(index, pl.Int16)).otherwise(chosen)
    return chosen


def _places(rules: AccountRules, names: list[str]) -> Iterator[tuple[str, int | None]]:
    for container, classes in rules.containers.items():
        for prefix, name in {"": classes.document_class, **classes.folders}.items():
            yield f"{container}/{prefix}", names.index(name) if name in rules.classes else None


def _in_container(rules: AccountRules) -> pl.Expr:
    return pl.any_horizontal(pl.col("path").str.starts_with(f"{name}/") for name in rules.containers)
