"""How many steps an expression takes: the cost of a turn, and what is certain beforehand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from udfs.expressions.terms import (
    Apply,
    Entries,
    Get,
    Has,
    Items,
    Lifted,
    Literal,
    Local,
    Macro,
    Variable,
)

if TYPE_CHECKING:
    from udfs.expressions.terms import Term

_FREE_ADDITIONS = 16
_TERMS_PER_STEP = 8  # as many as take about 0.2 µs


def turn_cost(term: Macro) -> int:
    """Steps of one turn of a macro: more for a long body, so that the time is bounded."""
    return 1 + sum(_terms(body) for body in (term.make, term.predicate)) // _TERMS_PER_STEP


def certain_steps(term: Term) -> int:
    """The steps of macros over lists that stand in the text, if nothing is left out.

    Lists of data count as empty. A text above the limit is refused when it is loaded: of its
    own, without any data, it could only be an error.
    """
    if isinstance(term, Macro):
        body = sum(certain_steps(part) for part in (term.make, term.predicate) if part is not None)
        turns = len(term.over.items) if isinstance(term.over, Items) else 0
        return certain_steps(term.over) + turns * (turn_cost(term) + body)
    return sum(map(certain_steps, _parts(term)))


def puts_much_together(term: Term) -> bool:
    """Whether all that is walked through is counted, as in macros, not only there.

    A text has room for hundreds of ``+``, each of which might copy a megabyte.
    """
    return _additions(term) > _FREE_ADDITIONS


def _additions(term: Term) -> int:
    own = isinstance(term, Apply) and term.function == "_+_"
    return own + sum(map(_additions, _parts(term)))


def _parts(term: Term | None) -> tuple[Term, ...]:
    match term:
        case None | Literal() | Lifted() | Local() | Variable():
            return ()
        case Get(operand) | Has(operand):
            return (operand,)
        case Macro():
            bodies = (term.over, term.make, term.predicate)
            return tuple(part for part in bodies if part is not None)
        case Items(parts) | Entries(parts) | Apply(_, parts):
            return parts


def _terms(term: Term | None) -> int:
    if isinstance(term, Macro):  # its parts are all there is to it
        return sum(map(_terms, (term.over, term.make, term.predicate)))
    return 1 + sum(map(_terms, _parts(term)))
