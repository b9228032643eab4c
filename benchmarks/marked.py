"""The part of a page that a program writes: what lies between two marks."""

from __future__ import annotations


def filled(page: str, begin: str, end: str, content: str) -> str:
    """The page with `content` between the marks instead of what is there.

    Raises:
        ValueError: there is not exactly one of each, in this order.
    """
    before, found, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not found or not closed or begin in rest:
        msg = f"the page must have one {begin!r} and one {end!r} behind it"
        raise ValueError(msg)
    return f"{before}{begin}\n\n{content}\n\n{end}{after}"
