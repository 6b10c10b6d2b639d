"""What is unimportant: one file per criterion, each a function `score(parts, generator)`.

Importing this package imports no torch; `load_criterion` does. A plug-in calls `register_score`.
"""

from __future__ import annotations

from prunesearch.catalogue import CRITERIA, CriterionInfo
from prunesearch.criteria.registry import BUILT_IN, load_criterion, load_plugin, register_score

__all__ = ["BUILT_IN", "CRITERIA", "CriterionInfo", "load_criterion", "load_plugin", "register_score"]
