"""`SearchSpace`: policies as Optuna parameters and back.

The words of a policy (schedule type, function, granularity, ...) depend on each other, so the space is first unrolled
into its *branches*: every combination of words that can be completed to a valid policy. What is asked of Optuna then
follows one fixed order, and only where there is something to choose: a word with one possible value, and a field that
the branch does not use, are no parameters. Optuna refuses a categorical whose choices change, so a word's name carries
its branch (`function.magnitude_percentage`, `criterion.units`), while numbers may have ranges that depend on what was
drawn before (`converge_over` up to N - 1 - E).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from prunesearch import rules
from prunesearch.errors import StudyError, bulleted
from prunesearch.policy import Policy
from prunesearch.results import GroupInfo, TaskInfo
from prunesearch.rules import matching
from prunesearch.search.branches import WORDS, Branch, unrolled
from prunesearch.search.narrowing import narrowed
from prunesearch.search.ranges import Interval, Options, Ranges, check_whole, unique
from prunesearch.search.ratios import Wanted, globs_of, known_ratios, pruned_groups, ratio_keys, stray_keys, wanted_of
from prunesearch.search.sources import Defaults, Known, Source, Suggested
from prunesearch.spec import Range, StudySpec

if TYPE_CHECKING:
    from optuna.trial import BaseTrial

ORDER = (
    *WORDS,
    "ramp",
    "last_cut",
    "prune_bias",
    "prune_output_layer",
    "threshold",
    "threshold_max",
    "weight_threshold",
    "threshold_step",
    "eps",
    "initial_learning_rate",
    "epoch_threshold",
    "converge_over",
    "prune_iter",
    "rewind_to",
    "recovery_epochs",
    "min_units",
    "round_to",
    "recalibrate_batches",
)
"""The fields in the order in which they are asked; ratios come last, globs and epochs are given."""


@dataclass(frozen=True)
class Located:
    """A policy of the space with its Optuna parameters; its form is the one that `suggest` would give it."""

    params: dict[str, Any]
    policy: Policy


@dataclass(frozen=True)
class SearchSpace:
    """All policies that a study may propose. Build it with `SearchSpace.of`.

    Args:
        ranges: what each field may be.
        wanted: what the study says about ratios and groups.
        branches: every combination of words that can be completed to a valid policy.
        full: the choices of every word, by its name with branch.
        ratios: granularity -> the keys of a policy's `ratio` with their ranges.
        notes: what of the study's space the model has nothing for, in words.
    """

    ranges: Ranges
    wanted: Wanted
    branches: tuple[Branch, ...]
    full: Mapping[str, tuple[Any, ...]]
    ratios: Mapping[str, Mapping[str, Range]]
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, spec: StudySpec, info: TaskInfo, epochs: int | None = None) -> SearchSpace:
        """The space of a study on a task.

        Args:
            spec: the study.
            info: the task.
            epochs: N; that of the study, or else of the task, when left out.

        Raises:
            StudyError: a group is unknown, a whole number is not, the sensitivity is another task's, or no policy is
                allowed at all.
        """
        check_whole(spec.space)
        if spec.sensitivity:
            spec.sensitivity.check_task(info, spec.seed)
        wanted = wanted_of(spec, info)
        n = next(e for e in (epochs, spec.epochs, info.epochs) if e is not None)
        pruned = {g: pruned_groups(info, g, wanted) for g in info.granularities}
        normed = frozenset(kind for kind, groups in pruned.items() if all(g.norm for g in groups))
        ranges = Ranges({k: r for k, r in spec.space.items() if not k.startswith("ratio.")}, info, n, normed)
        ratios = {kind: _ratios(spec, groups, wanted) for kind, groups in pruned.items()}
        sure = replace(wanted, prune_output_layer=all(ranges.said("prune_output_layer")))
        branches, reasons = unrolled(ranges, tuple(g for g in pruned if pruned_groups(info, g, sure)))
        if not branches:
            raise StudyError(f"the space allows no policy: {bulleted(reasons)}", "widen the space of the study")
        return cls(ranges, wanted, branches, _full(branches), ratios, ranges.left_out())

    @property
    def epochs(self) -> int:
        """N."""
        return self.ranges.epochs

    def groups(self, granularity: str, output: bool = False) -> tuple[GroupInfo, ...]:
        """The groups that a granularity prunes under the study's `spare` and `only`, `output`: with the output layer."""
        return pruned_groups(self.ranges.info, granularity, replace(self.wanted, prune_output_layer=output))

    def suggest(self, trial: BaseTrial) -> Policy:
        """The policy that a trial's parameters mean; parameters that it does not have yet are drawn."""
        return Policy.model_validate(self._walk(Suggested(trial)))

    def locate(self, policy: Policy) -> Located:
        """Where a policy lies in the space.

        Raises:
            StudyError: it does not; with all values that are not in the space.
        """
        known = Known(self._values(policy))
        fields = self._walk(known)
        if policy.epochs != self.epochs:
            known.problems.insert(0, f"epochs: the study has {self.epochs}, got {policy.epochs}")
        known.problems += self._strange_names(policy)
        if known.problems:
            raise StudyError(
                f"not in the space: {bulleted(known.problems)}", "change the policy, or widen the space of the study"
            )
        return Located(known.params, Policy.model_validate(fields))

    def _strange_names(self, policy: Policy) -> list[str]:
        """What is wrong with the groups that a policy names."""
        problems = []
        for name, globs in globs_of(self.ranges.info, policy.granularity, self.wanted).items():
            if set(getattr(policy, name)) != set(globs):
                problems.append(f"{name}: the space has only {list(globs)}, got {list(getattr(policy, name))}")
        return problems + stray_keys(policy.ratio or {}, self.groups(policy.granularity, policy.prune_output_layer))

    def params(self, policy: Policy) -> dict[str, Any]:
        """The Optuna parameters that `suggest` turns into `policy`, or into one that equals it in another form.

        Raises:
            StudyError: the policy is not in the space.
        """
        return self.locate(policy).params

    def nearest(self, given: Mapping[str, Any]) -> Policy:
        """The policy of the space that is nearest to the fields given: words that it lacks and fields left open take
        defaults, numbers are moved into their ranges.
        """
        return Policy.model_validate(self._walk(Defaults(given)))

    def filled(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """A policy's fields: those given as they are, for the rest those of the nearest policy of the space."""
        return self._walk(Defaults(given)) | {name: value for name, value in given.items() if value is not None}

    def names(self, branch: Branch) -> tuple[str, ...]:
        """The parameters of one branch by name, where the output layer may be pruned its ratio's too."""
        counted = Defaults({**branch, "prune_output_layer": True})
        self._walk(counted)
        return tuple(counted.labels)

    def dimensions(self) -> int:
        """Parameters of the branch that has most; criteria make no difference."""
        different = {tuple(v for k, v in b.items() if k != "criterion"): b for b in self.branches}
        return max(len(self.names(branch)) for branch in different.values())

    def _values(self, policy: Policy) -> dict[str, Any]:
        """The policy's fields in the form that the space gives them."""
        values = policy.present()
        options = unique(b["criterion"] for b in self.branches if b["granularity"] == policy.granularity)
        equal = [word for word in options if self._same_criterion(word, policy)]
        if equal and policy.criterion not in options:
            values["criterion"] = equal[0]
        if policy.ratio is not None:
            groups = self.groups(policy.granularity, policy.prune_output_layer)
            values |= known_ratios(policy.ratio, groups, self.ratios.get(policy.granularity, {}))
        return values

    def _same_criterion(self, word: str, policy: Policy) -> bool:
        chosen = policy.present()
        return self.ranges.criterion_class(word, chosen) == self.ranges.criterion_class(policy.criterion, chosen)

    def _walk(self, source: Source) -> dict[str, Any]:
        """A policy's fields, every choice made by `source`."""
        chosen: dict[str, Any] = {"epochs": self.epochs}
        left = self.branches
        for name in ORDER:
            if name not in rules.used(chosen):
                continue
            options = unique(b[name] for b in left) if name in WORDS else self.ranges.options(name, chosen)
            chosen[name] = self._choose(name, options, chosen, source)
            if name in WORDS:
                left = tuple(b for b in left if b[name] == chosen[name])
        globs = globs_of(self.ranges.info, chosen["granularity"], self.wanted)
        return chosen | globs | self._ratio(chosen, source)

    def _choose(self, name: str, options: Options, chosen: Branch, source: Source) -> Any:
        if isinstance(options, Interval):
            return source.number(name, name, options)
        if len(options) == 1 and not self._varies(name):
            return source.only(name, options[0])
        base = branched(name, chosen)
        return source.word(name, _label(base, options, self.full.get(base) or self.ranges.said(name)), options)

    def _varies(self, name: str) -> bool:
        """Whether a number is searched among single values, so that it is a parameter even where one of them is left."""
        found = self.ranges.space.get(name)
        return name not in WORDS and found is not None and found.choices is not None and len(found.choices) > 1

    def _ratio(self, chosen: Branch, source: Source) -> dict[str, Any]:
        if "ratio" not in rules.used(chosen):
            return {}
        keys = self._ratio_keys(chosen["granularity"], chosen["prune_output_layer"])
        return {"ratio": {key: self._one_ratio(f"ratio.{key}", found, source) for key, found in keys.items()}}

    def _ratio_keys(self, granularity: str, output: bool) -> Mapping[str, Range]:
        """The keys of a policy's `ratio`: without the output layer's where it is not pruned."""
        keys = self.ratios[granularity]
        if output or not self.wanted.prune_output_layer:
            return keys
        spoken_for = {matching(group.name, keys) for group in self.groups(granularity)}
        return {key: found for key, found in keys.items() if key in spoken_for}

    def _one_ratio(self, label: str, found: Range, source: Source) -> float:
        if found.choices is None:
            return source.number(label, label, self.ranges.interval("ratio", found))
        if len(found.choices) == 1:
            return float(source.only(label, found.choices[0]))
        return float(source.word(label, label, found.choices))


def _ratios(spec: StudySpec, groups: Sequence[GroupInfo], wanted: Wanted) -> dict[str, Range]:
    """The keys of a granularity's ratios with their ranges."""
    keys = ratio_keys(groups, wanted)
    return narrowed(keys, groups, wanted.ranges, spec.sensitivity) if spec.sensitivity else keys


def branched(name: str, chosen: Branch) -> str:
    """A field's name in Optuna: `<field>.<branch>` where its words depend on the branch."""
    suffix = rules.branch(name, chosen) if name in WORDS else None
    return name if suffix is None else f"{name}.{suffix}"


def _full(branches: tuple[Branch, ...]) -> dict[str, tuple[Any, ...]]:
    """All choices of every word, by its name with branch."""
    found: dict[str, dict[Any, None]] = {}
    for branch in branches:
        for name, word in branch.items():
            found.setdefault(branched(name, branch), {})[word] = None
    return {name: tuple(words) for name, words in found.items()}


def _label(base: str, options: tuple[Any, ...], full: tuple[Any, ...]) -> str:
    """A parameter's name: its choices are added where only some of them are left, for they may not change under a name."""
    return base if options == full else f"{base}.{'-'.join(str(o) for o in options)}"
