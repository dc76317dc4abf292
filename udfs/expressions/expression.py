"""A compiled expression, and how a text becomes one."""

from __future__ import annotations

import contextlib
import marshal
from collections.abc import Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from cachetools import LRUCache

from udfs.errors import ExpressionInvalid, Fault
from udfs.events.event import Event
from udfs.expressions.absorb import FAILURES
from udfs.expressions.budget import Budget
from udfs.expressions.cache import CodeCache, Compiled
from udfs.expressions.cost import puts_much_together
from udfs.expressions.exact import exact
from udfs.expressions.fast import Fast
from udfs.expressions.lift import Value, lift
from udfs.expressions.limits import MAX_STEPS
from udfs.expressions.parse import parse
from udfs.expressions.patterns import longest_text, pattern_of
from udfs.expressions.resolve import Resolver, Usage
from udfs.expressions.runtime import NEW_BUDGET, RUNTIME, Steps, Values

if TYPE_CHECKING:
    from types import CodeType

    from udfs.expressions.names import Names

_TEMPLATE = """\
def make(settle, {given}):
    def run_value(e, s, v):
        {budget}
        try:
            return {value}
        except FAILURES:
            pass
        try:
            return {exact_value}
        except FAILURES as error:
            fail(error)
    def run_test(e, s, v):
        {budget}
        try:
            {test}
        except FAILURES:
            pass
        return settle(e, s, v)
    def run_exact(e, s, v, b=None):
        b = b or {new_budget}
        return {exact}
    return run_value, run_test, run_exact
"""
_SHAPES: MutableMapping[str, bytes] = LRUCache(1_000)
"""What was compiled, by its source."""
_EXPORTED = {"uint": "int", "timestamp": "string", "duration": "string", "type": "string"}
_BUDGET = f"b = {NEW_BUDGET}"
_TEST_ANY = """t = {fast}
            if t is True: return True
            if t is False: return False"""


class Expression:
    """A compiled expression. `compile_expression` makes it.

    The event, the steps and the values go in; nothing of them is changed. A list or map
    that comes out may be a part of what went in: copy it before changing it.

    Attributes:
        text: The CEL text.
        names: What it may mention.
        kind: Kind of the result as far as it is certain (``bool``, ``int``, ``double``,
            ``string``, ``bytes``, ``null``, ``list``, ``map``, ``event``), else ``dyn``.
        event_fields: Top-level fields of the event that it reads.
        prop_fields: Keys of the event's ``props`` that it reads.
        all_props: It reads ``props`` also otherwise than by constant keys.
        steps_used: Steps that it reads.
        values_used: Values that it reads.
        value: ``value(event, steps, values)`` evaluates; raises `EvaluationError`.
        test: ``test(event, steps, values)`` is True only if the value is true; an error or
            another kind of value is False and counted. HOT.
    """

    __slots__ = (
        "_settler",
        "all_props",
        "event_fields",
        "kind",
        "names",
        "prop_fields",
        "steps_used",
        "test",
        "text",
        "value",
        "values_used",
    )

    def __init__(self, source: str, names: Names, compiled: Compiled) -> None:
        self.text = source
        self.names = names
        self.kind = compiled.kind
        self.event_fields = frozenset(compiled.fields)
        self.prop_fields = frozenset(compiled.props)
        self.all_props = compiled.all_props
        self.steps_used = frozenset(compiled.steps)
        self.values_used = frozenset(compiled.values)
        self._settler = _Settler()
        code = marshal.loads(compiled.code)  # noqa: S302 - our own code only, see CodeCache
        made: dict[str, Any] = {}
        exec(code, RUNTIME, made)  # noqa: S102 - made by exact.py and fast.py alone
        patterns = [pattern_of(pattern) for pattern in compiled.patterns]
        searches = [pattern.search for pattern in patterns]
        functions = made["make"](
            self._settler.settle, *searches, *map(longest_text, patterns), *compiled.constants
        )
        self.value: Callable[[Event | None, Steps, Values], Any] = functions[0]
        self.test: Callable[[Event | None, Steps, Values], bool] = functions[1]
        self._settler.precise = functions[2]

    @property
    def errors(self) -> int:
        """How often `test` met an error or a value that is no bool."""
        return self._settler.errors

    def __repr__(self) -> str:
        return f"Expression({self.text!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return compile_expression, (self.text, self.names)

    def steps(self, event: Event | None, steps: Steps = None, given: Values = None) -> int:
        """How many steps one evaluation takes, as it is bounded by ``MAX_STEPS``.

        Args:
            event: As for ``value``.
            steps: As for ``value``.
            given: As for ``value``.

        Returns:
            Steps of the exact variant, up to the error that ended it, if any.
        """
        budget: Budget = [MAX_STEPS, None]
        with contextlib.suppress(*FAILURES):
            self._settler.precise(event, steps, given, budget)
        return min(MAX_STEPS - int(budget[0]), MAX_STEPS)


class _Settler:
    """What `Expression.test` falls back on.

    An object of its own: would the expression's functions refer to the expression, it would be
    cyclic garbage in the end, and a worker has no time to look for that.
    """

    __slots__ = ("errors", "precise")

    def __init__(self) -> None:
        self.errors = 0
        self.precise: Callable[..., Any]

    def settle(self, event: Event | None, steps: Steps, given: Values) -> bool:
        """`test` after the fast variant raised or gave no bool."""
        try:
            result = self.precise(event, steps, given)
        except FAILURES:
            self.errors += 1
            return False
        if result is True or result is False:
            return bool(result)
        self.errors += 1
        return False


def compile_expression(
    source: str, names: Names, cache: CodeCache | None = None, where: str = "$"
) -> Expression:
    """Compiles a CEL text.

    Args:
        source: The text.
        names: What it may mention.
        cache: Where compiled code is looked up and kept.
        where: Path of the text in its config, for faults.

    Returns:
        The expression, ready to run.

    Raises:
        ExpressionInvalid: The text does not parse, mentions unknown names, cannot have the
            types it needs, or exceeds a limit; with all faults and their places.

    >>> from udfs.expressions import Names
    >>> adult = compile_expression("age >= 18", Names(event=False, values=("age",)))
    >>> adult.test(None, None, {"age": 20})
    True
    """
    compiled = cache.get(source, names) if cache is not None else None
    if compiled is None:
        compiled = _compile(source, names, where)
        if cache is not None:
            cache.put(source, names, compiled)
    return Expression(source, names, compiled)


def _compile(source: str, names: Names, where: str) -> Compiled:
    resolver = Resolver(parse(source, names, where), source, names, where)
    term = resolver.resolve()
    if resolver.faults:
        raise ExpressionInvalid(resolver.faults)
    usage = resolver.usage
    counted = puts_much_together(term)
    constants: list[Value] = []
    term = lift(term, constants)
    fast = Fast(counted=counted)
    piece = fast.term(term)
    test = f"return {piece.code}" if piece.kind == "bool" else _TEST_ANY.format(fast=piece.code)
    module = _TEMPLATE.format(
        given=", ".join(
            f"{kind}{n}"
            for kind, count in (
                ("p", len(fast.patterns)),
                ("m", len(fast.patterns)),
                ("c", len(constants)),
            )
            for n in range(count)
        ),
        budget=_BUDGET if "(b, " in piece.code else "pass",
        new_budget=NEW_BUDGET,
        fast=piece.code,
        value=_outcome(piece.code, usage),
        exact_value=_outcome("run_exact(e, s, v)", usage),
        test=test,
        exact=exact(term, in_macro=counted),
    )
    return Compiled(
        code=_marshalled(module, where),
        kind=_EXPORTED.get(piece.kind, piece.kind),
        patterns=tuple(fast.patterns),
        fields=tuple(sorted(usage.fields)),
        props=tuple(sorted(usage.props)),
        all_props=usage.all_props,
        steps=tuple(sorted(usage.steps)),
        values=tuple(sorted(usage.values)),
        constants=tuple(constants),
    )


def _outcome(code: str, usage: Usage) -> str:
    return f"export({code})" if usage.special else code


def _marshalled(module: str, where: str) -> bytes:
    code = _SHAPES.get(module)
    if code is None:
        code = _SHAPES[module] = marshal.dumps(_code(module, where))
    return code


def _code(module: str, where: str) -> CodeType:
    try:
        return compile(module, "<expression>", "exec", dont_inherit=True, optimize=0)
    except (SyntaxError, RecursionError, MemoryError) as error:
        # Python's compiler has limits of its own; ours stay below them as far as we know.
        fault = Fault(f"{where}:1:1", f"too complex to compile: {error}", "split it")
        raise ExpressionInvalid([fault]) from error
