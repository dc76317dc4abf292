"""The benchmarks of rules, as the command line asks for them."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from rich.console import Console

from benchmarks import matching, report_rules, rule_load, rule_state, servers
from benchmarks.bar import bar_on

EVENTS_A_USER: Final = rule_state.EVENTS_A_USER

_QUICK_USERS: Final = 20
_QUICK_EVENTS: Final = 2_000
_QUICK_PROFILE_S: Final = 0.5


def add_options(parser: argparse.ArgumentParser) -> None:
    """Add what only these benchmarks know."""
    group = parser.add_argument_group("matching, state, load, aggregation, rules and swaps")
    group.add_argument(
        "--rules", type=int, nargs="+", metavar="N",
        help="how many [matching and rules 1 10 100 1000, state 100, load and swaps 1000]",
    )  # fmt: skip
    group.add_argument("--users", type=int, help="how many [state 10000, others 1000]")
    group.add_argument(
        "--per-user-seconds", type=float, default=1.0,
        help="event time between two events of a user, on average [%(default)s]",
    )  # fmt: skip
    group.add_argument(
        "--share", type=float, nargs="+", default=list(matching.SERIES),
        help="of its type's events for which a step's comparison holds; matching %(default)s",
    )  # fmt: skip
    group.add_argument("--alone", action="store_true", help="matching without Flink's NFA")
    group.add_argument(
        "--quick", action="store_true", help="small, only to see that it runs: proves nothing"
    )


def check_options(parser: argparse.ArgumentParser, options: argparse.Namespace) -> None:
    """End with a message if the options make no sense."""
    counts = [*(options.rules or ()), options.users, options.events]
    if any(count is not None and count < 1 for count in counts):
        parser.error("--rules, --users, --events: at least 1")
    if options.per_user_seconds <= 0:
        parser.error("--per-user-seconds: more than 0")
    if not all(0 < share < 0.5 for share in options.share):
        parser.error("--share: between 0 and 0.5")


def run_matching(console: Console, options: argparse.Namespace) -> list[matching.Outcome]:
    """Measure the engine beside Flink's NFA."""
    default = matching.Plan()
    plan = matching.Plan(
        rounds=options.rounds,
        users=options.users or (_QUICK_USERS if options.quick else default.users),
        per_user_seconds=options.per_user_seconds,
        events=_own_events(options) or (_QUICK_EVENTS if options.quick else None),
        flink=not options.alone,
        profile_s=_QUICK_PROFILE_S if options.quick else default.profile_s,
    )
    folder = servers.BENCH / "flink_nfa"
    with _told(console) as told:
        outcomes = [
            matching.measure(share, count, plan, folder, told)
            for share in options.share
            for count in options.rules or matching.SIZES
        ]
    report_rules.print_matching(console, outcomes, plan)
    return outcomes


def run_state(console: Console, options: argparse.Namespace) -> list[rule_state.State]:
    """Measure what runs take in state."""
    users = options.users or (_QUICK_USERS if options.quick else rule_state.USERS)
    each = max((_own_events(options) or EVENTS_A_USER * users) // users, 1)
    sample = _QUICK_EVENTS if options.quick else rule_state.SAMPLE
    with _told(console) as told:
        states = [
            rule_state.measure(users, each, count, options.per_user_seconds, sample, told)
            for count in options.rules or (rule_state.RULES,)
        ]
    report_rules.print_states(console, states)
    return states


def run_load(console: Console, options: argparse.Namespace) -> list[list[rule_load.Round]]:
    """Measure how long rule sets take to be loaded."""
    with _told(console) as told:
        loads = [
            rule_load.measure(count, options.rounds, told)
            for count in options.rules or (rule_load.RULES,)
        ]
    report_rules.print_loads(console, loads)
    return loads


def _own_events(options: argparse.Namespace) -> int | None:
    """Give the number of events, unless it is that of the log."""
    events: int | None = None if options.what == "all" else options.events
    return events


@contextmanager
def _told(console: Console) -> Iterator[Callable[[str], None]]:
    with bar_on(console) as bar:
        task = bar.add_task("rules", total=None)
        yield lambda line: bar.update(task, description=line)
