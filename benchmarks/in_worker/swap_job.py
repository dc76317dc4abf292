"""``jobs/decide`` with an operator that notes its times.

The job's own file, packages and settings; only the class of the operator is another one. Own
options come first: ``--marks FOLDER`` and ``--gil``.
"""

from __future__ import annotations

import argparse
import functools
import sys

from benchmarks.in_worker.marks import MarkedDecide
from jobs import decide
from udfs.errors import MillraceError
from udfs.runtime.decide import DecideFunction


def main(arguments: list[str]) -> None:
    """Submit it."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument("--marks", required=True)
    parser.add_argument("--gil", action="store_true")
    options, rest = parser.parse_known_args(arguments)
    made = functools.partial(MarkedDecide, options.marks, options.gil)
    vars(decide)[DecideFunction.__name__] = made  # what `decide.main` calls
    decide.main(rest)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except MillraceError as error:
        sys.exit(f"millrace: {error}")
