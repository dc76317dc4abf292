"""Matches on their way out, and the order they leave in."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from udfs.matching.result import Match
    from udfs.matching.rule import CompiledRule
    from udfs.matching.runs import Node


class Found(msgspec.Struct, eq=False):
    """A match or a time-out.

    Args:
        rule: Whose.
        node: What it has taken.
        at: When, ms.
        kind: ``match`` or ``timeout``.
    """

    rule: CompiledRule
    node: Node
    at: int
    kind: str


def chain(node: Node) -> list[tuple[int, int]]:
    """Give what was taken as order and step, the first first: equal only for equal runs."""
    links = []
    link: Node | None = node
    while link is not None:
        links.append((link.entry.order, link.step))
        link = link.before
    links.reverse()
    return links


def in_order(found: list[Found], user_id: str) -> list[Match]:
    """Give matches by time, rule order, start of the run; then by what was taken."""
    if len(found) > 1:
        found.sort(key=_sort_key)
    return [one.rule.to_match(one.kind, user_id, one.at, one.node) for one in found]


def _sort_key(one: Found) -> tuple[int, int, list[tuple[int, int]], str]:
    return one.at, one.rule.index, chain(one.node), one.kind
