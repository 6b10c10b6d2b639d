"""Names of the criteria, what they rank and what they need: known without torch.

The scores themselves are computed in `prunesearch.criteria`, one file each under the same name. A plug-in adds its
own with `register`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType

from prunesearch.errors import UsageError


@dataclass(frozen=True)
class CriterionInfo:
    """What is known of a criterion before anything is computed.

    Args:
        name: the word used in policies.
        formula: the score, in one line.
        source: paper or system it comes from.
        weights: whether it ranks single weights.
        units: whether it ranks neurons and filters.
        gradient_batches: batches of training data whose gradients it needs (0: none).
        initial: whether it needs the initial values.
        norms: whether it needs a norm layer behind every ranked unit.
        magnitude: whether the score has the scale of the weights, so that an absolute bound makes sense for units.
    """

    name: str
    formula: str
    source: str
    weights: bool = True
    units: bool = True
    gradient_batches: int = 0
    initial: bool = False
    norms: bool = False
    magnitude: bool = False


@dataclass
class _Catalogue:
    known: dict[str, CriterionInfo] = field(default_factory=dict)

    def add(self, info: CriterionInfo) -> None:
        if self.known.get(info.name, info) != info:
            raise UsageError(f"criterion '{info.name}' is registered twice", "give the plug-in's criterion another name")
        self.known[info.name] = info


_CATALOGUE = _Catalogue()
CRITERIA = MappingProxyType(_CATALOGUE.known)
"""All known criteria by name, plug-ins included."""


def register(info: CriterionInfo) -> None:
    """Make a criterion's name known to policies and search spaces.

    Raises:
        UsageError: another criterion has that name.
    """
    _CATALOGUE.add(info)


for _info in (
    CriterionInfo("l1", "sum of |w|", "Li et al. 2016; Han et al. 2015", magnitude=True),
    CriterionInfo("l2", "root of the sum of w^2", "Keras and NeuralNetPruning systems", magnitude=True),
    CriterionInfo("linf", "largest |w|", "torch.nn.utils.prune.ln_structured", magnitude=True),
    CriterionInfo("random", "uniform random numbers", "control, Blalock et al. 2020"),
    CriterionInfo("taylor", "(sum of w g)^2", "Molchanov et al. 2019", gradient_batches=10),
    CriterionInfo("obd", "sum of w^2 h / 2, h = mean of g^2", "LeCun et al. 1990, diagonal Fisher", gradient_batches=10),
    CriterionInfo("snip", "|w0 g0|", "Lee et al. 2019", units=False, gradient_batches=10, initial=True),
    CriterionInfo("magnitude_increase", "|w| - |w0|", "Zhou et al. 2019", units=False, initial=True),
    CriterionInfo("bn_scale", "|gamma| of the norm behind the unit", "Liu et al. 2017", weights=False, norms=True),
    CriterionInfo("fpgm", "sum of distances to all other units of the group", "He et al. 2019", weights=False),
    CriterionInfo("lamp", "w^2 over the sum of all larger w^2 of the layer", "Lee et al. 2021", units=False),
):
    register(_info)
