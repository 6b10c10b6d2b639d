"""Recordings: a run's weights and masks epoch by epoch, in a folder that needs no torch to be read.

recording.json      task, policy, groups, layers in the network's order, and one entry per state: its file, its checksum,
                    the epoch's figures, what every tensor has kept
NNNN.safetensors    one state: `weight/<parameter>` in float32 and the dense network's shape, zero where it is masked;
                    `kept/<parameter>`, one bit per weight, for parameters from which something is gone

States are the network before the first step (epoch -1), after every epoch as it was measured, and as the run left it
(epoch N). Of networks above `sampling.WHOLE` parameters a sample of every tensor is recorded, with `rows/<parameter>` and
`columns/<parameter>`, one bit per place of the first and second dimension, all of them: whether anything is left there.
"""

from __future__ import annotations

from prunesearch.recordings.reading import Recording, State, Tensors
from prunesearch.recordings.writing import Draft, put_in_place, refuse_existing

__all__ = ["Draft", "Recording", "State", "Tensors", "put_in_place", "refuse_existing"]
