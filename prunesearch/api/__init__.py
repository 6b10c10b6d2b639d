"""The Python API: one function per command, with the same argument names. Nothing heavy is imported until it is used."""

from __future__ import annotations

from prunesearch.api.about import version
from prunesearch.api.definitions import init, studies, studies_copy, studies_show
from prunesearch.api.reading import front, show, status

__all__ = ["front", "init", "show", "status", "studies", "studies_copy", "studies_show", "version"]
