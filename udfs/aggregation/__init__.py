"""Aggregates per user: specs → plan → state → values."""

from udfs.aggregation.batch import aggregate
from udfs.aggregation.plan import Plan
from udfs.aggregation.state import State

__all__ = ["Plan", "State", "aggregate"]
