"""Pictures of a recorded run: the network being pruned, its weights, its filters; as GIF, MP4 or PNG. No torch."""

from __future__ import annotations
