"""How far each state of a rule lies from the start."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from udfs.matching.graph import Arrow, RuleGraph


def leading_back(rule: RuleGraph) -> list[Arrow]:
    """Give the arrows that close a circle, seen from the start."""
    out: dict[int, list[Arrow]] = {box.index: [] for box in rule.boxes}
    for arrow in rule.arrows:
        if arrow.source != arrow.target:
            out[arrow.source].append(arrow)
    found = []
    on_way: set[int] = set()
    done: set[int] = set()
    waiting = [(rule.boxes[0].index, iter(out[rule.boxes[0].index]))]
    on_way.add(rule.boxes[0].index)
    while waiting:
        here, arrows = waiting[-1]
        for arrow in arrows:
            if arrow.target in on_way:
                found.append(arrow)
            elif arrow.target not in done:
                on_way.add(arrow.target)
                waiting.append((arrow.target, iter(out[arrow.target])))
                break
        else:
            waiting.pop()
            on_way.discard(here)
            done.add(here)
    return found


def layers_of(rule: RuleGraph, back: list[Arrow]) -> dict[int, int]:
    """Give the length of the longest way to each state, arrows that lead back left out."""
    forward = [a for a in rule.arrows if a.source != a.target and a not in back]
    missing = {box.index: 0 for box in rule.boxes}
    for arrow in forward:
        missing[arrow.target] += 1
    layers = dict.fromkeys(missing, 0)
    ready = [index for index, count in missing.items() if not count]
    while ready:
        here = ready.pop()
        for arrow in forward:
            if arrow.source == here:
                layers[arrow.target] = max(layers[arrow.target], layers[here] + 1)
                missing[arrow.target] -= 1
                if not missing[arrow.target]:
                    ready.append(arrow.target)
    return layers
