"""The two generated sets of "Ways to prune", searched: at most the parameters that 80 and 90 % fewer neurons leave.

    python -m benchmarks proof_small --work FOLDER

The chosen policies are run again with fresh seeds, on points that are drawn anew.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from benchmarks.proof.page import Summary
from benchmarks.proof.repeats import DENSE, repeat, repeats_of
from benchmarks.proof.searches import FOLDER, asked_where, chosen, search_study, stored
from benchmarks.proof.strategies import SYSTEM
from benchmarks.proof.words import mean_of, origin, search_words, spread
from benchmarks.record import Record, Run
from prunesearch.policy import Policy
from prunesearch.report.words import percent, policy_words
from prunesearch.schedules.markdown import table

NAME = "proof_small"
WIDTHS = {"moons": (2, 30, 2), "circles": (2, 20, 18, 16, 14, 2)}
"""Ready study -> its network."""
TITLES = {"moons": "Two half moons", "circles": "Two circles"}
SHARES = (0.8, 0.9)
PUBLISHED = {("moons", 0.8): 97.1, ("moons", 0.9): 92.8, ("circles", 0.9): 50.0}
"""(study, share of neurons removed) -> test accuracy in percent."""


def allowed(study: str, share: float) -> int:
    """Parameters that are left when this share of every hidden layer's neurons is gone, biases included."""
    widths = WIDTHS[study]
    left = [widths[0], *(n - int(n * share + 1e-9) for n in widths[1:-1]), widths[-1]]
    return sum((a + 1) * b for a, b in pairwise(left))


def choices(search: Run) -> dict[str, Policy]:
    """Per share the policy with the best validation accuracy among those that leave no more parameters."""
    picked = {f"{k:g}": chosen(search, allowed(str(search["study"]), k)) for k in SHARES}
    return {label: Policy.parse(found["policy"]) for label, found in picked.items() if found}


def section() -> str:
    """The section of docs/results.md, empty while nothing is measured."""
    runs = stored(NAME)
    parts = [_part(runs, search) for search in runs if search["kind"] == "search"]
    if not parts:
        return ""
    text = (
        f"## The same two sets, searched ({SYSTEM})\n\nWhole neurons, as many epochs in all as above. Chosen on validation among "
        "policies that leave at most the parameters that such a share of every layer leaves; then run again with three fresh "
        "seeds on points that are drawn anew. Test accuracy in percent."
    )
    return "\n\n".join([text, *parts, origin(runs)])


def _part(runs: Sequence[Run], search: Run) -> str:
    study = str(search["study"])
    rows = [_row(runs, study, label, policy) for label, policy in choices(search).items()]
    head = ["share of neurons", "parameters allowed", "published", "searched", "parameters left", "policy"]
    title = f"### {TITLES[study]} (dense: {spread(repeats_of(runs, f'{study}-mlp', DENSE))})"
    return "\n\n".join([title, table(head, rows), search_words(search)])


def _row(runs: Sequence[Run], study: str, label: str, policy: Policy) -> list[str]:
    found, share = repeats_of(runs, f"{study}-mlp", label), float(label)
    left = f"{mean_of(found, 'params'):.0f}" if found else "-"
    told = f"{PUBLISHED[study, share]:g}" if (study, share) in PUBLISHED else "-"
    return [label, str(allowed(study, share)), told, f"**{spread(found)}**", left, policy_words(policy)]


def summary() -> list[Summary]:
    """Rows of the README's table: the published shares."""
    runs, rows = stored(NAME), []
    for (study, share), value in PUBLISHED.items():
        found = repeats_of(runs, f"{study}-mlp", f"{share:g}")
        if found and share == max(SHARES):
            what = f"{TITLES[study]}, {percent(share)} of neurons"
            rows.append(
                Summary(SYSTEM, f"{what}: {value:g} %", "", f"{what}: {spread(found)} %", f"`prunesearch search {study}`")
            )
    return rows


def main() -> None:
    """Search, then run the chosen policies again with fresh seeds."""
    where, record = asked_where(__doc__), Record(NAME, FOLDER)
    for study in WIDTHS:
        repeat(record, f"{study}-mlp", choices(search_study(study, record, where)), where)


if __name__ == "__main__":
    main()
