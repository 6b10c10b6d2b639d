"""The store: one SQL database with Optuna's tables and ours side by side. Imports neither torch nor Optuna."""

from __future__ import annotations

from prunesearch.store.database import Store
from prunesearch.store.records import ENDED, ExactRecord, FrontRecord, StudyRecord, Ticket, TrialRecord
from prunesearch.store.schema import SCHEMA_VERSION

__all__ = ["ENDED", "SCHEMA_VERSION", "ExactRecord", "FrontRecord", "Store", "StudyRecord", "Ticket", "TrialRecord"]
