"""The Python API: one function per command, with the same argument names. Nothing heavy is imported until it is used."""

from __future__ import annotations

from prunesearch.api.about import version
from prunesearch.api.animating import animate
from prunesearch.api.bundles import export, load
from prunesearch.api.checking import check, groups
from prunesearch.api.curving import curve
from prunesearch.api.definitions import init, studies, studies_copy, studies_show
from prunesearch.api.doctoring import doctor
from prunesearch.api.reading import front, show, status
from prunesearch.api.running import run
from prunesearch.api.searching import search
from prunesearch.api.sensing import sensitivity
from prunesearch.api.serving import dashboard

__all__ = [
    "animate",
    "check",
    "curve",
    "dashboard",
    "doctor",
    "export",
    "front",
    "groups",
    "init",
    "load",
    "run",
    "search",
    "sensitivity",
    "show",
    "status",
    "studies",
    "studies_copy",
    "studies_show",
    "version",
]
