"""The tables of prunesearch, beside Optuna's in one database. Ours is the truth; Optuna's is the sampler's memory.

All times are UTC in ISO 8601. Measures are columns, one for each name in `prunesearch.results.MEASURES`; policies,
study files and environments are JSON. Comments of columns are what docs/store.md shows.
"""

from __future__ import annotations

from dataclasses import fields
from typing import get_args

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from prunesearch.results import MEASURES, Measures, Timings
from prunesearch.store.records import TrialState

SCHEMA_VERSION = 2
"""Version of these tables, kept in prunesearch_meta; a database of a newer one is refused. 2: prunesearch_exact."""

_TIME = String(40)
_WHOLE = {f.name for f in fields(Measures) if f.type == "int"}

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _measures(prefix: str, whose: str) -> list[Column[float]]:
    """One nullable column per measure; whole numbers as 64-bit integers (MACs pass 2^31)."""
    return [
        Column(prefix + name, BigInteger() if name in _WHOLE else Double(), comment=f"{whose}{meaning}")
        for name, meaning in MEASURES.items()
    ]


def _timings() -> list[Column[float]]:
    return [Column(f"seconds_{f.name}", Double(), comment=f"seconds of the trial spent on: {f.name}") for f in fields(Timings)]


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True, comment="our own number, unique in the database")


def _study() -> Column[int]:
    key = ForeignKey("prunesearch_studies.id", ondelete="CASCADE")
    return Column("study_id", Integer, key, nullable=False, comment="the study")


def _trial() -> Column[int]:
    key = ForeignKey("prunesearch_trials.id", ondelete="CASCADE")
    return Column("trial_id", Integer, key, primary_key=True, comment="the trial")


meta = Table(
    "prunesearch_meta",
    metadata,
    Column("key", String(64), primary_key=True, comment="schema_version, created_by, created_at"),
    Column("value", Text, nullable=False, comment="its value, as text"),
    comment="what wrote this database",
)

studies = Table(
    "prunesearch_studies",
    metadata,
    _id(),
    Column("name", String(200), nullable=False, unique=True, comment="the study's name, the same as in Optuna's tables"),
    Column("spec", JSON, nullable=False, comment="the study's definition with everything resolved"),
    Column("task", JSON(none_as_null=True), comment="what the task is: digest, groups, sizes, device"),
    Column("code_version", String(100), nullable=False, comment="version of prunesearch that made the study"),
    Column("environment", JSON, nullable=False, comment="versions, machine and device that made the study"),
    Column("dense", JSON(none_as_null=True), comment="the dense network: signature, latency settings, epochs, layers, report"),
    *_measures("dense_", "the dense network: "),
    Column("created_at", _TIME, nullable=False, comment="when the study was made"),
    Column("active_at", _TIME, nullable=False, comment="when something was last written for it"),
    comment="one row per study, with the dense network as the reference row",
)

tickets = Table(
    "prunesearch_tickets",
    metadata,
    _id(),
    _study(),
    Column("number", Integer, nullable=False, comment="0-based; below the study's trials; seeds the sampler"),
    Column("state", String(16), nullable=False, comment="open, taken or done"),
    Column("owner", String(200), comment="the driver that holds it"),
    Column("trial_number", Integer, comment="the trial that is run for it, once asked"),
    Column("changed_at", _TIME, nullable=False, comment="when its state last changed"),
    UniqueConstraint("study_id", "number"),
    Index(None, "study_id", "state"),
    comment="the right to run one trial; a study has as many as it has trials",
)

trials = Table(
    "prunesearch_trials",
    metadata,
    _id(),
    _study(),
    Column("number", Integer, nullable=False, comment="the trial's number, the same as in Optuna's tables"),
    Column("ticket_id", Integer, ForeignKey("prunesearch_tickets.id", ondelete="SET NULL"), comment="the ticket it was run for"),
    Column("state", String(16), nullable=False, comment=", ".join(get_args(TrialState))),
    Column("policy", JSON, nullable=False, comment="the policy, as in policy.yaml"),
    Column("digest", String(32), nullable=False, comment="digest of the policy's canonical form"),
    Column("seed", BigInteger, nullable=False, comment="seed of data order, initial values and draws"),
    *_measures("", ""),
    Column("feasible", Boolean, comment="whether it is complete and satisfies all constraints"),
    Column(
        "violations", JSON(none_as_null=True), comment="per constrained measure how far it is beyond its bound; <= 0 is within"
    ),
    Column("confirmed", JSON(none_as_null=True), comment="figures of the repetition over fresh seeds, if there was one"),
    Column("signature", String(64), comment="hash of the shapes of the network that was measured"),
    Column("device", String(200), comment="where it ran"),
    Column("reason", Text, comment="why it is infeasible, failed, stopped or lost"),
    Column("trace", Text, comment="traceback of a failure"),
    Column("notes", JSON(none_as_null=True), comment="things worth telling"),
    Column("latency_shared", Boolean, comment="whether the latency is another trial's with equal shapes"),
    Column("kept_in", Text, comment="folder that holds the pruned network"),
    Column("epochs_trained", Integer, comment="epochs actually trained for it"),
    Column("report", JSON(none_as_null=True), comment="per-class figures on the test split"),
    *_timings(),
    Column("started_at", _TIME, nullable=False, comment="when it was handed to the engine"),
    Column("finished_at", _TIME, comment="when its result was written"),
    UniqueConstraint("study_id", "number"),
    Index(None, "study_id", "digest", "seed"),
    Index(None, "study_id", "state"),
    comment="one row per trial",
)

epochs = Table(
    "prunesearch_epochs",
    metadata,
    _trial(),
    Column("epoch", Integer, primary_key=True, comment="0-based"),
    Column("loss", Double, comment="mean training loss per example; NULL where it was not a number"),
    Column("accuracy", Double, comment="the task's metric on the validation split after the epoch"),
    Column("learning_rate", Double, comment="at the epoch's start"),
    Column("sparsity", Double, comment="fraction of the dense network's parameters that were masked"),
    Column("seconds", Double, comment="wall time"),
    Column("shared", Boolean, nullable=False, comment="whether another trial had trained it"),
    comment="one row per trial and epoch",
)

layers = Table(
    "prunesearch_layers",
    metadata,
    _trial(),
    Column("position", Integer, primary_key=True, comment="order in the network, 0-based"),
    Column("name", String(255), nullable=False, comment="the group, named by its first layer"),
    Column("kind", String(16), nullable=False, comment="what its elements are: weight, neuron or filter"),
    Column("kept", BigInteger, nullable=False, comment="elements left"),
    Column("total", BigInteger, nullable=False, comment="elements of the dense network"),
    comment="one row per trial and group: what was kept",
)

fronts = Table(
    "prunesearch_fronts",
    metadata,
    _id(),
    _study(),
    Column("after_trial", Integer, nullable=False, comment="number of the trial that changed the front"),
    Column("members", JSON, nullable=False, comment="numbers of the front's trials"),
    Column("size", Integer, nullable=False, comment="how many they are"),
    Column("hypervolume", Double, comment="share of the dense network's box that they dominate"),
    Column("recorded_at", _TIME, nullable=False, comment="when"),
    UniqueConstraint("study_id", "after_trial"),
    comment="the Pareto front after every change",
)

exact = Table(
    "prunesearch_exact",
    metadata,
    _id(),
    _study(),
    Column("number", Integer, nullable=False, comment="number of the trial; -1: the dense network"),
    Column("state", String(16), nullable=False, comment="complete, infeasible or failed"),
    *_measures("", ""),
    Column("feasible", Boolean, nullable=False, comment="whether it is complete and satisfies all constraints"),
    Column("violations", JSON, nullable=False, comment="per constrained measure how far it is beyond its bound; <= 0 is within"),
    Column("reason", Text, comment="why it is infeasible or failed"),
    Column("result", JSON, nullable=False, comment="signature, device, notes, layers, report, kept_in and epochs_trained"),
    Column("finished_at", _TIME, nullable=False, comment="when it was written"),
    UniqueConstraint("study_id", "number"),
    comment="what of a study in fast numerics was trained again in exact: its front, and the dense network",
)
