"""The dense network as an engine returns it, made into what pruned networks are judged against."""

from __future__ import annotations

from prunesearch.errors import EnvironmentFailure, TaskError
from prunesearch.results import DenseReference, LatencySpec, Result


def reference_of(result: Result, latency: LatencySpec) -> DenseReference:
    """The reference that a dense network's result is.

    Args:
        result: of a job without a policy.
        latency: how its latency was measured.

    Raises:
        TaskError: it could not be trained.
        EnvironmentFailure: memory, disk or the device gave out.
    """
    if result.measures is None or result.state == "failed":
        reason = result.reason or "no reason was given"
        wrong = f"the dense network could not be trained: {reason}"
        if result.outside:
            raise EnvironmentFailure(wrong, "where memory is short, fewer workers or a smaller batch_size need less")
        raise TaskError(wrong, "'prunesearch check' tries the task in a few seconds")
    return DenseReference(result.measures, result.signature, latency, result.epochs, result.layers, result.report)
