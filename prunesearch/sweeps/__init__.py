"""Sweeps: a list of policies, each tried with several seeds beside the dense network, and nothing is selected."""

from __future__ import annotations

from prunesearch.sweeps.base import Candidate, DenseMeasured, News, Point, PointMeasured, Started, Sweep
from prunesearch.sweeps.sweeping import run_sweep

__all__ = ["Candidate", "DenseMeasured", "News", "Point", "PointMeasured", "Started", "Sweep", "run_sweep"]
