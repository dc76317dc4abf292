"""Rules over the events of a user: Flink CEP's answers from one shared machine."""

from udfs.matching.chain_layout import Layout
from udfs.matching.machine import Machine
from udfs.matching.replay import match
from udfs.matching.result import Match
from udfs.matching.runs import Runs
from udfs.matching.stream import Stream

__all__ = ["Layout", "Machine", "Match", "Runs", "Stream", "match"]
