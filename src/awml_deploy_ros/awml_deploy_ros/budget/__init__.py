"""Latency budgets: what every stage may take, and Autoware's two steps from late to too late.

These modules know no ROS: the node judges live frames with them, replay those of a bag.
"""

from awml_deploy_ros.budget.judge import (
    WAITS,
    BudgetJudge,
    BudgetState,
    ItemState,
    judge_frames,
    timed_items,
)
from awml_deploy_ros.budget.schema import LatencyBudget, Limit, read_budget

__all__ = [
    "WAITS",
    "BudgetJudge",
    "BudgetState",
    "ItemState",
    "LatencyBudget",
    "Limit",
    "judge_frames",
    "read_budget",
    "timed_items",
]
