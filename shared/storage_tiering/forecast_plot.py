"""A forecast as a picture: SVG that needs nothing from elsewhere, for the report and the status page."""

from collections.abc import Sequence
from html import escape

from shared.storage_tiering.forecast import Month
from shared.storage_tiering.frames import TIERS

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 640, 220, 70, 30, 24
_COLOURS = {"Hot": "#c2410c", "Cool": "#0369a1", "Cold": "#4338ca", "Archive": "#57534e"}


def svg(months: Sequence[Month], currency: str) -> str:
    """Bytes by tier as bars, and the cost a month with the plan (line) and without (dashed)."""
    if not months:
        raise ValueError("the forecast has no months; ask for at least one")
    most_bytes = max(sum(each.planned_bytes.values()) for each in months) or 1
    most_cost = max(max(each.planned_cost, each.untouched_cost) for each in months) or 1.0
    step = (WIDTH - LEFT) / len(months)
    height = HEIGHT - BOTTOM - TOP
    parts: list[str] = []
    for number, month in enumerate(months):
        left, top = LEFT + number * step, float(HEIGHT - BOTTOM)
        for tier in TIERS:
            size = month.planned_bytes[tier] / most_bytes * height
            top -= size
            parts.append(
                f'<rect x="{left + 4:.1f}" y="{top:.1f}" width="{step - 8:.1f}" height="{size:.1f}"'
                f' fill="{_COLOURS[tier]}" fill-opacity="0.35"><title>{month.at:%Y-%m} {tier}:'
                f" {month.planned_bytes[tier] / 2**30:,.1f} GiB</title></rect>"
            )
        parts.append(f'<text x="{left + step / 2:.1f}" y="{HEIGHT - 12}" text-anchor="middle">{month.at:%b}</text>')
    for name, costs, dash in (
        ("with the plan", [each.planned_cost for each in months], ""),
        ("without", [each.untouched_cost for each in months], ' stroke-dasharray="5 4"'),
    ):
        points = " ".join(
            f"{LEFT + (number + 0.5) * step:.1f},{HEIGHT - BOTTOM - cost / most_cost * height:.1f}"
            for number, cost in enumerate(costs)
        )
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="currentColor" stroke-width="2"{dash}>'
            f"<title>{escape(currency)} a month {name}: {costs[0]:,.2f} to {costs[-1]:,.2f}</title></polyline>"
        )
    title = (
        f"Next {len(months)} months: bytes by tier, and {escape(currency)} a month with the plan and without (dashed)"
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{title}"'
        f' font-size="11" fill="currentColor"><text x="4" y="14">{title}</text>'
        f'<text x="4" y="{TOP + 12}">{most_cost:,.0f} {escape(currency)}</text>'
        f'<text x="4" y="{TOP + 28}">{most_bytes / 2**30:,.0f} GiB</text>{"".join(parts)}</svg>'
    )
