"""The two generated sets of "Ways to prune", searched: at most the parameters that 80 and 90 % fewer neurons leave.

    python -m benchmarks proof_small --work FOLDER

A network of three neurons is a matter of luck, and one seed's validation chooses luck. So the five best policies of a budget are
run again with three fresh seeds, on points that are drawn anew; their mean validation accuracy chooses, and test reports.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from benchmarks.proof.page import Summary
from benchmarks.proof.repeats import DENSE, repeat, repeats_of
from benchmarks.proof.searches import FOLDER, asked_where, search_study, stored
from benchmarks.proof.strategies import CURVES, SYSTEM
from benchmarks.proof.words import command_of, mean_of, origin, search_words, spread
from benchmarks.record import Record, Run
from prunesearch.policy import Policy
from prunesearch.report.words import percent, policy_words
from prunesearch.schedules.markdown import table

NAME = "proof_small"
WIDTHS = {"moons": (2, 30, 2), "circles": (2, 20, 18, 16, 14, 2)}
"""Ready study -> its network."""
TITLES = {study: curve.title for curve in CURVES for study in WIDTHS if curve.name == f"strategies-{study}"}
FIVE = 5
SHARES = (0.8, 0.9)
PUBLISHED = {("moons", 0.8): 97.1, ("moons", 0.9): 92.8, ("circles", 0.9): 50.0}
"""(study, share of neurons removed) -> test accuracy in percent."""


def allowed(study: str, share: float) -> int:
    """Parameters that are left when this share of every hidden layer's neurons is gone, biases included."""
    widths = WIDTHS[study]
    left = [widths[0], *(n - int(n * share + 1e-9) for n in widths[1:-1]), widths[-1]]
    return sum((a + 1) * b for a, b in pairwise(left))


def shortlist(search: Run) -> dict[str, Policy]:
    """Per share the `FIVE` policies of best validation accuracy among those that leave no more parameters."""
    picked: dict[str, Policy] = {}
    for share in SHARES:
        budget = allowed(str(search["study"]), share)
        fits = [t for t in search["trials"] if t["state"] == "complete" and t["params"] <= budget]
        best = sorted(fits, key=lambda t: (-t["accuracy"], t["params"]))
        picked |= {f"{share:g}, {place}": Policy.parse(t["policy"]) for place, t in enumerate(best[:FIVE], 1)}
    return picked


def confirmed(runs: Sequence[Run], search: Run, share: float) -> tuple[Policy, list[Run]] | None:
    """The policy of the shortlist with the best mean validation accuracy over the fresh seeds, and its runs."""
    task = f"{search['study']}-mlp"
    tried = [(p, repeats_of(runs, task, label)) for label, p in shortlist(search).items() if label.startswith(f"{share:g},")]
    return max((t for t in tried if t[1]), key=lambda t: mean_of(t[1], "accuracy"), default=None)


def section() -> str:
    """The section of docs/results.md, empty while nothing is measured."""
    runs = stored(NAME)
    parts = [_part(runs, search) for search in runs if search["kind"] == "search"]
    if not parts:
        return ""
    text = (
        f"## The same two sets, searched ({SYSTEM})\n\nWhole neurons, as many epochs in all as above. Three neurons are a matter "
        "of luck, so the choice is made twice: among policies that leave at most the parameters that such a share of every layer "
        "leaves, the five best of the search on validation were run again with three fresh seeds, on points that are drawn anew, "
        "and the best mean on validation was taken. Test accuracy of that one, in percent."
    )
    return "\n\n".join([text, *parts, origin(runs, NAME)])


def _part(runs: Sequence[Run], search: Run) -> str:
    study = str(search["study"])
    rows = [_row(study, share, found) for share in SHARES if (found := confirmed(runs, search, share))]
    head = ["share of neurons", "parameters allowed", "published", "searched", "parameters left", "policy"]
    title = f"### {TITLES[study]} (dense: {spread(repeats_of(runs, f'{study}-mlp', DENSE))})"
    return "\n\n".join([title, table(head, rows), search_words(search)])


def _row(study: str, share: float, found: tuple[Policy, list[Run]]) -> list[str]:
    policy, runs = found
    told = f"{PUBLISHED[study, share]:g}" if (study, share) in PUBLISHED else "-"
    left = f"{mean_of(runs, 'params'):.0f}"
    return [f"{share:g}", str(allowed(study, share)), told, f"**{spread(runs)}**", left, policy_words(policy)]


def summary() -> list[Summary]:
    """Rows of the README's table: the published shares."""
    runs = stored(NAME)
    return [row for search in runs if search["kind"] == "search" for row in _summary(runs, search)]


def _summary(runs: Sequence[Run], search: Run) -> list[Summary]:
    study, share = str(search["study"]), max(SHARES)
    found = confirmed(runs, search, share)
    if found is None:
        return []
    what = f"{TITLES[study]}, {percent(share)} of neurons"
    told = {"published": f"{PUBLISHED[study, share]:g} %", "searched": f"{spread(found[1])} %"}
    return [Summary(SYSTEM, what, **told, command=command_of(NAME, study))]


def main() -> None:
    """Search, then run the chosen policies again with fresh seeds."""
    where, record = asked_where(__doc__), Record(NAME, FOLDER)
    for study in WIDTHS:
        repeat(record, f"{study}-mlp", shortlist(search_study(study, record, where)), where)


if __name__ == "__main__":
    main()
