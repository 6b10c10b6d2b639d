"""card.md: what a pruned network is, in figures against the dense one, and how to get it again."""

from __future__ import annotations

from collections.abc import Iterator

from prunesearch.export.about import About
from prunesearch.report.findings import compare, versus
from prunesearch.report.words import number, percent, policy_words
from prunesearch.results import MEASURES, Measures


def card(about: About, folder: str, checksum: str) -> str:
    """The card as Markdown.

    Args:
        about: what is told.
        folder: the bundle's path, for the lines that load it.
        checksum: SHA-256 of the weights.
    """
    return "\n".join([*_head(about), *_figures(about), *_layers(about), *_again(about, folder), *_origin(about, checksum)]) + "\n"


def _head(about: About) -> Iterator[str]:
    yield f"# {about.title}"
    yield ""
    if about.dense:
        yield f"Against the dense network: {versus(compare(about.measures, about.dense.measures, maximize=about.maximize))}."
        yield ""
    yield f"Policy: {policy_words(about.policy)}."
    yield ""
    yield _standing(about)
    yield ""


def _standing(about: About) -> str:
    if about.confirmed:
        told = ", ".join(f"{name} {value}" for name, value in about.confirmed.items())
        return f"Confirmed over fresh seeds: {told}."
    luck = ", and the policy was chosen on the validation split: expect a part of its lead to be luck" if about.study else ""
    return f"**Not confirmed.** The figures are of one seed{luck}."


def _figures(about: About) -> Iterator[str]:
    yield "| measure | pruned | dense | meaning |"
    yield "|---|---:|---:|---|"
    dense = about.dense.measures if about.dense else None
    for name, meaning in MEASURES.items():
        label = about.metric if name == "accuracy" else name
        yield f"| {label} | {_value(about.measures, name)} | {_value(dense, name)} | {meaning} |"
    yield ""
    for note in about.notes:
        yield f"* {note}"
    if about.notes:
        yield ""


def _value(measures: Measures | None, name: str) -> str:
    return number(getattr(measures, name, None))


def _layers(about: About) -> Iterator[str]:
    if not about.layers:
        return
    yield "| group | of | kept | total | share |"
    yield "|---|---|---:|---:|---:|"
    for row in about.layers:
        share = percent(row.kept / row.total) if row.total else "-"
        yield f"| {row.name} | {row.kind} | {row.kept:,} | {row.total:,} | {share} |"
    yield ""


def _again(about: About, folder: str) -> Iterator[str]:
    names = " and ".join(f"`{name}`" for name in (*about.files, folder))
    where = f"In the folder from which {names} are found" if about.files else f"In the folder that holds {names}"
    yield from _called(about, folder, where) if about.reference is None else _typed(about, folder, where)
    yield ""
    if about.missing:
        yield f"Criterion `{about.missing}` is a plug-in's: add the file that holds it with `--plugin`."
        yield ""


def _typed(about: About, folder: str, where: str) -> Iterator[str]:
    yield from (f"{where}, train and prune it again:", "", "```bash", about.again(folder), "```", "")
    yield from ("or load it:", "", "```python", "import prunesearch as ps", "")
    yield from (f'model = ps.load("{folder}")  # the pruned torch.nn.Module, in eval mode', "```")


def _called(about: About, folder: str, where: str) -> Iterator[str]:
    yield f"Only the process that ran it had its task. {where}, and with it as `task`, train and prune it again, or load it:"
    yield from ("", "```python", "import prunesearch as ps", "", f"ran = {about.again(folder)}")
    yield from (f'model = ps.load("{folder}", task=task)  # the pruned torch.nn.Module, in eval mode', "```")


def _origin(about: About, checksum: str) -> Iterator[str]:
    yield f"* seed {about.seed}, policy digest `{about.digest}`, measured on {about.device or 'an unknown device'}"
    if about.dense and about.measures.latency_ms is not None:
        how = about.dense.latency
        other = "" if how.batch_size == 1 else "; `run` measures at batch size 1"
        yield f"* latency at batch size {how.batch_size}, {how.dtype}, {how.backend}, threads: {how.threads}{other}"
    if about.numerics != "exact":
        yield f"* {about.numerics} numerics: training multiplied in bfloat16 (TF32 on GPUs)"
    yield f"* prunesearch {about.code_version or 'of unknown version'}"
    yield f"* model.safetensors, SHA-256 `{checksum}`"
    for name, value in about.environment.items():
        if name != "host":  # a card travels; whose machine it was is nobody's business
            yield f"* {name}: {value}"
