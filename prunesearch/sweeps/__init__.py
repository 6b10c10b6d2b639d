"""Sweeps: a list of policies, each tried with several seeds beside the dense network, and nothing is selected."""

from __future__ import annotations

from prunesearch.sweeps.base import Candidate, DenseMeasured, News, Point, PointMeasured, Started, Sweep
from prunesearch.sweeps.candidates import Cuts, policy_candidates, schedule_candidates
from prunesearch.sweeps.sweeping import run_sweep, sweep_on

__all__ = [
    "Candidate",
    "Cuts",
    "DenseMeasured",
    "News",
    "Point",
    "PointMeasured",
    "Started",
    "Sweep",
    "policy_candidates",
    "run_sweep",
    "schedule_candidates",
    "sweep_on",
]
