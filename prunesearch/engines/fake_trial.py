"""A trial without training: the real schedule decides, and formulas say what it might have led to.

What can be counted (parameters, work, widths) is counted from the network's table of layers. What would have to be
measured is a formula: accuracy falls along a logistic curve of the sparsity, earlier for units than for single weights
and earlier for random choices; latency falls with the work. Which units single weights leave dead is not made up: none.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from prunesearch.engines.fake_networks import FakeNetwork
from prunesearch.fitting import of_granularity, why_spared
from prunesearch.policy import Policy
from prunesearch.results import EpochRow, GroupInfo, Job, LayerRow, Measures, Result
from prunesearch.rules import count_of, ratio_of, rounded_width
from prunesearch.schedules import Order, make_schedule

BEST, CHANCE = 0.97, 0.1  # accuracy of the dense network in the end, and of one that knows nothing
_HALFWAY = {"weight": 5.0, "unit": 3.2}  # logit of the sparsity that costs half of the accuracy: 99.3 %, 96 %
_WORSE = {"random": 1.5, "reinit": 0.3}  # by how much it moves down
_STEEPNESS = 0.6
_LATENCY_NOISE = 0.01
_OVERHEAD_MACS = 20_000  # what a network of no width still costs, in units of work
_MACS_PER_MS = 2_000_000
_NOTE = "simulated: no network was trained"


@dataclass
class Course:
    """What happens to one network over its epochs.

    Args:
        network: the table of layers.
        policy: how it is pruned, None for the dense reference.
        epochs: N.
        luck: deterministic noise of this policy and seed, within 0.001.
        fractions: what is gone now, by group.
        sparsity: fraction of the dense network's parameters that is gone.
        answer: the fractions that came back last, under rewind_pruning.
    """

    network: FakeNetwork
    policy: Policy | None
    epochs: int
    luck: float
    fractions: dict[str, float] = field(default_factory=dict)
    sparsity: float = 0.0
    answer: dict[str, float] | None = None

    def run(self) -> tuple[EpochRow, ...]:
        """One row per epoch; afterwards `fractions` holds what is gone, by group."""
        return tuple(self._epochs())

    def _epochs(self) -> Iterator[EpochRow]:
        schedule = make_schedule(self.policy, target=BEST if self.epochs == 0 else None) if self.policy else None
        state = schedule.init() if schedule else None
        accuracy: float | None = self.accuracy(0) if self.epochs == 0 else None
        for epoch in range(self.epochs + 1):
            if schedule and self.policy:
                decision, state = schedule.before(epoch, state, accuracy)
                if decision.came_back is not None:
                    self.answer = dict(self.fractions)
                if decision.order:
                    self._set(self._cut(self.policy, decision.order))
            if epoch < self.epochs:
                accuracy = self.accuracy(epoch + 1)
                yield EpochRow(epoch, 2.3 * (1 - accuracy), accuracy, 1e-3, self.sparsity, 0.0)
        self._set(self.fractions if self.answer is None else self.answer)

    def _set(self, fractions: dict[str, float]) -> None:
        if fractions != self.fractions:
            self.fractions = fractions
            self.sparsity = 1 - self.params() / self.network.params()

    @property
    def _groups(self) -> tuple[GroupInfo, ...]:
        """The groups of the policy's granularity, spared ones too."""
        return of_granularity(self.network.groups, self.policy.granularity) if self.policy else ()

    def _cut(self, policy: Policy, order: Order) -> dict[str, float]:
        """Fraction gone by group name, of the groups that the policy prunes."""
        found = {}
        for group in self._groups:
            if why_spared(group, policy) is None:
                level = ratio_of(group.name, order.amount) if isinstance(order.amount, Mapping) else order.amount
                found[group.name] = _below_bound(level, policy.is_unit) if order.absolute else level
        return found

    def widths(self) -> dict[str, int]:
        """Units left by width."""
        left = dict(self.network.widths)
        if self.policy and self.policy.is_unit:
            for name, fraction in self.fractions.items():
                kept = max(left[name] - count_of(left[name], fraction), self.policy.min_units)
                left[name] = rounded_width(kept, left[name], self.policy.round_to)
        return left

    def params(self) -> int:
        """Parameters to be stored."""
        if self.policy and self.policy.is_unit:
            return self.network.params(self.widths())
        sizes = {layer.name: layer.weights(self.network.widths) for layer in self.network.layers}
        return self.network.params() - sum(self._weights_gone(name, sizes[name]) for name in self.fractions)

    def _weights_gone(self, name: str, size: int) -> int:
        """Single weights of a group that are gone."""
        least = self.policy.min_units if self.policy else 0
        return min(count_of(size, self.fractions.get(name, 0.0)), max(0, size - least))

    def accuracy(self, trained: int) -> float:
        """Accuracy after so many epochs, with what is gone now."""
        learned = 1 - math.exp(-trained / (0.1 * self.epochs + 0.3)) if self.epochs else 1.0
        return CHANCE + (BEST - CHANCE) * learned * (1 - self._damage()) + self.luck

    def _damage(self) -> float:
        gone = self.sparsity
        if self.policy is None or gone <= 0:
            return 0.0
        halfway = _HALFWAY["unit" if self.policy.is_unit else "weight"]
        halfway -= _WORSE.get(self.policy.criterion, 0.0) + _WORSE.get(self.policy.recovery, 0.0)
        return 1 / (1 + math.exp(-(math.log(gone / (1 - gone)) - halfway) / _STEEPNESS))

    def layers(self) -> tuple[LayerRow, ...]:
        """What is left of every group of the policy's granularity; of all groups where there is no policy."""
        widths = self.widths()
        return tuple(LayerRow(g.name, g.kind, self._kept(g, widths), g.size) for g in self._groups or self.network.groups)

    def _kept(self, group: GroupInfo, widths: Mapping[str, int]) -> int:
        if group.kind == "weight":
            return group.size - self._weights_gone(group.name, group.size)
        return widths.get(group.name, group.size)


def simulate(network: FakeNetwork, job: Job) -> Result:
    """The result that a job might have had.

    Args:
        network: the task's network.
        job: what was asked; equal policies and seeds give equal results.
    """
    epochs = job.policy.epochs if job.policy else job.epochs
    course = Course(network, job.policy, epochs, _luck(job))
    rows = course.run()
    removed = course.params() < network.params()
    result = Result(
        state="complete" if removed or job.policy is None else "infeasible",
        measures=_measures(course, job),
        epochs=rows,
        layers=course.layers(),
        signature=_signature(course.widths()),
        reason=None if removed or job.policy is None else "nothing was removed",
        notes=(_NOTE,),
        device="fake",
        epochs_trained=epochs,
    )
    return replace(result, latency_shared=job.latency is not None and result.signature in job.known_latency)


def _measures(course: Course, job: Job) -> Measures:
    network, widths = course.network, course.widths()
    accuracy = course.accuracy(course.epochs)
    plain = Measures(
        accuracy=accuracy,
        params=course.params(),
        params_dense=network.params(widths),
        macs=network.macs(widths),
        bytes=network.bytes(widths),
        sparsity=course.sparsity,
        seconds=0.0,
        test_accuracy=accuracy - 0.002 if job.test else None,
    )
    return plain if job.latency is None else _with_latency(plain, network, job, _signature(widths))


def _with_latency(plain: Measures, network: FakeNetwork, job: Job, signature: str) -> Measures:
    usual = ((plain.macs + _OVERHEAD_MACS) / (network.macs() + _OVERHEAD_MACS), _LATENCY_NOISE)
    found, noise = job.known_latency.get(signature, usual)
    told = job.dense.measures.latency_ms if job.dense else None
    dense_ms = told or (network.macs() + _OVERHEAD_MACS) / _MACS_PER_MS
    return replace(
        plain, latency_ms=found * dense_ms, latency_iqr_ms=noise * dense_ms, latency_ratio=found, latency_ratio_iqr=noise
    )


def _luck(job: Job) -> float:
    text = f"{job.policy.digest if job.policy else 'dense'} {job.seed}"
    return (int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 0xFFFFFFFF - 0.5) * 0.002


def _signature(widths: Mapping[str, int]) -> str:
    return hashlib.sha256(repr(sorted(widths.items())).encode()).hexdigest()[:16]


def _below_bound(bound: float, units: bool) -> float:
    """Share of scores at or below a bound: |w| of weights with deviation 0.05, or unit scores around 1 with 0.3."""
    if units:
        return 0.5 * (1 + math.erf((bound - 1) / (0.3 * math.sqrt(2))))
    return math.erf(bound / (0.05 * math.sqrt(2)))
