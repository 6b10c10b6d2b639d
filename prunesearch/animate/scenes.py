"""The kinds of pictures by name."""

from __future__ import annotations

from prunesearch.animate.filters import Filters
from prunesearch.animate.frames import Scene
from prunesearch.animate.network import Network
from prunesearch.animate.weights import Weights
from prunesearch.recordings import Recording


def scene(what: str, recording: Recording) -> Scene:
    """One kind of picture of a recording.

    Args:
        what: network, weights or filters.
        recording: what is shown.

    Raises:
        UsageError: the recorded network has nothing of the kind.
    """
    match what:
        case "network":
            return Network(recording)
        case "weights":
            return Weights(recording)
        case "filters":
            return Filters(recording)
    raise KeyError(what)
