"""Markdown tables, and blocks of a page that are generated between two markers."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from prunesearch.errors import UsageError

_END = "<!-- end of generated -->"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a `|` inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def number(value: float) -> str:
    """A number in as few digits as tell it apart at four decimals: 0.8, 0.4625, 7, 0.0001."""
    return f"{value:.4f}".rstrip("0").rstrip(".") if value == 0 or abs(value) >= 1e-4 else f"{value:g}"


def with_block(page: str, name: str, body: str) -> str:
    """`page` with the block `name` replaced by `body`.

    A block starts with the line `<!-- generated: NAME -->` and ends with the line `<!-- end of generated -->`.

    Raises:
        UsageError: the page has no such block.
    """
    start = f"<!-- generated: {name} -->\n"
    head, found, rest = page.partition(start)
    _, closed, tail = rest.partition(_END)
    if not found or not closed:
        raise UsageError(f"the page has no block '{start.strip()}' ... '{_END}'", "put both markers where the block shall stand")
    return f"{head}{start}\n{body}\n\n{_END}{tail}"
