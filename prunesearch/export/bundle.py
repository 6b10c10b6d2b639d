"""A bundle: policy, weights, architecture and card of one pruned network, in a folder that appears whole or not at all.

policy.yaml         the policy; `prunesearch run policy.yaml --task ...` trains and prunes with it again
model.safetensors   the state of the pruned network, physically smaller; no pickle
architecture.json   the task, the widths, a checksum of the weights: what `ps.load` reads
card.md             what it is, measured against the dense network, and how to reproduce and load it
"""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from prunesearch.drafts import beside, writing
from prunesearch.errors import UsageError
from prunesearch.export.about import About
from prunesearch.export.card import card
from prunesearch.results import ARCHITECTURE, WEIGHTS

POLICY, CARD = "policy.yaml", "card.md"


def refuse_existing(to: str | Path) -> Path:
    """The folder's path, if nothing is there yet.

    Raises:
        UsageError: something is there; a bundle never overwrites.
        EnvironmentFailure: the path is none that can be written.
    """
    target = Path(to)
    with writing(target):
        there = target.exists()
    if there:
        raise UsageError(f"'{target}' is there already", "give another folder with --to; nothing is overwritten")
    return target


def write_bundle(to: str | Path, network: str | Path, about: About) -> Path:
    """Write a bundle.

    Args:
        to: the folder, which must not exist.
        network: folder with the network as a trial keeps it: model.safetensors and architecture.json.
        about: what the card says.

    Returns:
        The folder.

    Raises:
        UsageError: the folder is there already.
        EnvironmentFailure: it cannot be written, or the network's files cannot be read.
    """
    target, source, place = refuse_existing(to), Path(network), about.place(to)
    with writing(target), beside(target) as folder:
        folder.mkdir()
        shutil.copyfile(source / WEIGHTS, folder / WEIGHTS)
        checksum = checksum_of(folder / WEIGHTS)
        described = json.loads((source / ARCHITECTURE).read_text(encoding="utf-8"))
        told = {"task": about.reference, "seed": about.seed, "digest": about.digest, "weights_sha256": checksum, **described}
        (folder / ARCHITECTURE).write_text(json.dumps(told, indent=1), encoding="utf-8")
        (folder / POLICY).write_text(f"# {about.title}\n# {about.again(place)}\n{about.policy.to_yaml()}", encoding="utf-8")
        (folder / CARD).write_text(card(about, place, checksum), encoding="utf-8")
        folder.rename(target)
    return target


def checksum_of(path: Path) -> str:
    """SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_architecture(bundle: str | Path) -> dict[str, Any]:
    """What architecture.json of a bundle holds.

    Raises:
        UsageError: the folder is no bundle.
    """
    path = Path(bundle) / ARCHITECTURE
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(
            f"'{bundle}' is not a bundle: {path.name} cannot be read ({error})", "'prunesearch export' writes one"
        ) from None
    return found
