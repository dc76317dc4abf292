"""Aggregates per user: specs → plan → state → values."""

from udfs.aggregation.batch import aggregate
from udfs.aggregation.plan import Plan, State

__all__ = ["Plan", "State", "aggregate"]
