"""What a task's callables hold, as plain data for its digest: code, arguments, closures, globals, the state of instances.

Code that a package manager installed, and ours, counts by name and source; code of the user's own also by the globals that it
names. What cannot be read (an open file, a lock, a generator that runs) counts by the name of its type.
"""

from __future__ import annotations

import copyreg
import dis
import functools
import hashlib
import inspect
import json
import os
import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import torch

from prunesearch.tasks.sources import is_installed

LIMIT = 100_000
"""Values that are looked at; who holds more is not read."""
_DESCRIPTORS = (
    types.GetSetDescriptorType,
    types.MemberDescriptorType,
    types.MethodDescriptorType,
    types.MethodWrapperType,
    types.WrapperDescriptorType,
)
_SIMPLE = frozenset({type(None), bool, int, float, complex, str})


@dataclass
class Reader:
    """Reads what values hold. Equal values give equal data in all processes; addresses and orders of sets do not count.

    Args:
        names: whether the globals that a user's code names count.

    Attributes:
        whole: whether everything could be read so far.
    """

    names: bool = True
    whole: bool = True
    _seen: dict[int, tuple[object, Any]] = field(default_factory=dict)

    def said(self, value: Any) -> Any:
        """A value as plain data for JSON; of what cannot be read, the name of its type."""
        try:
            return self._said(value)
        except Exception:  # noqa: BLE001 - foreign objects raise anything when they are asked what they hold
            self.whole = False
            return ["unread", type(value).__qualname__]

    def _said(self, value: Any) -> Any:
        if _is_simple(value):
            return repr(value)
        if id(value) in self._seen:
            return self._seen[id(value)][1]
        if len(self._seen) >= LIMIT:
            raise ValueError("too much to read")
        self._seen[id(value)] = value, "cycle"  # the value stays alive, so that no other gets its id
        try:
            found = self._parts(value)
        except Exception:
            del self._seen[id(value)]
            raise
        self._seen[id(value)] = value, found
        return found

    def _parts(self, value: Any) -> Any:
        match value:
            case functools.partial():
                return [self.said(value.func), self.said(value.args), self.said(sorted(value.keywords.items()))]
            case FunctionType():
                return self._function(value)
            case type():
                return self._class(value)
            case MethodType():
                return [self.said(value.__func__), self.said(value.__self__)]
            case ModuleType():
                return value.__name__
            case BuiltinFunctionType():
                return [value.__qualname__, self._said(value.__self__)]
        return self._data(value)

    def _data(self, value: Any) -> str:
        match value:
            case torch.Tensor():
                hashed = hashlib.sha256()
                add_tensor(hashed, value)
                return hashed.hexdigest()
            case bytes() | bytearray():
                return hashlib.sha256(value).hexdigest()
            case set() | frozenset():
                return _short(["set", *sorted(json.dumps(self._said(v)) for v in value)])
        if type(value) in (list, tuple):
            return _short([self._said(v) for v in value])
        if type(value) is dict:
            return _short([[self._said(k), self._said(v)] for k, v in value.items()])
        return self._instance(value)

    def _function(self, function: FunctionType) -> list[Any]:
        code, held = function.__code__, dict(_cells(function))
        told: list[Any] = [function.__qualname__, _source(function)]
        if not told[1] or function.__name__ == "<lambda>":  # several of these may stand on one line
            told.append(_compiled(code, whole=not told[1]))
        found = {name: self.said(value) for name, value in held.items()}
        if not is_installed(code.co_filename):
            found["()"] = self.said([function.__defaults__, function.__kwdefaults__])
            if self.names:
                found |= self._globals(function.__globals__, _Names.of(code))
        return [*told, _short(found)] if found else told

    def _globals(self, values: Mapping[str, Any], names: _Names, within: tuple[str, ...] = ()) -> dict[str, Any]:
        """Those that code names, through modules of the user's own."""
        found = {}
        for name in sorted((names.attributes if within else names.globals) & values.keys()):
            value = values[name]
            if not isinstance(value, ModuleType) or _is_installed_module(value.__name__):
                found[".".join((*within, name))] = self.said(value)
            elif value.__name__ not in within:
                found |= self._globals(vars(value), names, (*within, value.__name__))
        return found

    def _class(self, cls: type) -> list[Any]:
        told = [cls.__qualname__, _source(cls)]
        if _is_installed_module(cls.__module__):
            return told
        held = {name: _function_of(value) for name, value in vars(cls).items()}
        counts = {n: v for n, v in held.items() if isinstance(v, FunctionType) or not n.startswith(("__", "_abc_"))}
        return [*told, _short([{n: self.said(v) for n, v in counts.items()}, [self.said(base) for base in cls.__bases__]])]

    def _instance(self, value: Any) -> str:
        """What copying it would take."""
        if value is os.environ:
            raise ValueError("another one in every process")
        if isinstance(value, _DESCRIPTORS):
            return f"{type(value).__qualname__} {value.__qualname__}"
        reduce = copyreg.dispatch_table.get(type(value))
        reduced = reduce(value) if reduce else value.__reduce_ex__(4)
        if isinstance(reduced, str):  # a name; a function whose results are cached is no more than that either
            wrapped = getattr(value, "__wrapped__", None)
            return _short([type(value).__qualname__, reduced, wrapped and self.said(wrapped)])
        parts = [*reduced[:3], *(list(items) for items in reduced[3:5] if items is not None)]
        return _short([self._said(part) for part in parts])


def add_tensor(hashed: hashlib._Hash, tensor: torch.Tensor) -> None:
    """Add shape, type and all bytes."""
    hashed.update(f"{tuple(tensor.shape)}:{tensor.dtype};".encode())
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    hashed.update(flat.view(torch.uint8).numpy().data)


def _is_simple(value: Any) -> bool:
    """Whether `repr` says all of it."""
    if type(value) in (tuple, list):
        return all(_is_simple(v) for v in value)
    if type(value) is dict:
        return all(_is_simple(k) and _is_simple(v) for k, v in value.items())
    return type(value) in _SIMPLE


def _short(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _source(value: Any) -> str:
    try:
        return hashlib.sha256(inspect.getsource(value).encode()).hexdigest()
    except (OSError, TypeError):  # built in, or typed at a prompt
        return ""


def _compiled(code: CodeType, *, whole: bool) -> list[Any]:
    """Names and constants of code, those inside it included; and the operations, which differ between versions of Python."""
    inner = [
        _compiled(c, whole=whole) if isinstance(c, CodeType) else repr(c) for c in code.co_consts if not isinstance(c, frozenset)
    ]
    return [code.co_names, code.co_varnames, inner, code.co_code.hex() if whole else ""]


@dataclass(frozen=True)
class _Names:
    """What code names, that inside it included: globals, and attributes of anything."""

    globals: frozenset[str]
    attributes: frozenset[str]

    @classmethod
    def of(cls, code: CodeType) -> _Names:
        loaded = (i.argval for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
        inner = [cls.of(constant) for constant in code.co_consts if isinstance(constant, CodeType)]
        return cls(
            frozenset(loaded).union(*(names.globals for names in inner)),
            frozenset(code.co_names).union(*(names.attributes for names in inner)),
        )


def _cells(function: FunctionType) -> Iterator[tuple[str, Any]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # not yet filled
            yield name, cell.cell_contents


def _function_of(member: Any) -> Any:
    """What a class's member runs."""
    match member:
        case staticmethod() | classmethod():
            return member.__func__
        case property():
            return [member.fget, member.fset, member.fdel]
        case functools.cached_property():
            return member.func
    return member


def _is_installed_module(name: str) -> bool:
    """Whether a module is none of the user's own; those that lie nowhere are Python's, but for the one typed at a prompt.

    A module that is not there any more was the user's: tasks that are loaded later take theirs away.
    """
    module = sys.modules.get(name)
    place = getattr(module, "__file__", None) or next(iter(getattr(module, "__path__", ())), None)
    return is_installed(place) if place else module is not None and name != "__main__"
