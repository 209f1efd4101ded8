"""Drop-ins for the packages of other log systems, with their names and signatures, on Millpond's engine.

Change the import, ``from millpond.compat.timberlogs import create_timberlogs``, or leave the code as it is and call
:func:`install` before it is imported. This module owns the names under which the drop-ins can be imported; it imports
none of them before somebody asks.
"""

from __future__ import annotations

import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

from millpond.compat import _address

#: The packages that there are drop-ins for, by the name under which they are imported.
NAMES = ("logingestor", "logiscout_logger", "logtide_sdk", "streamlogia", "timberlogs")


def install(*names: str, address: str | None = None) -> None:
    """Makes the original import names mean the drop-ins, for code that can't be edited; without a name, all of them.

    ``import logtide_sdk`` then gives the module ``millpond.compat.logtide_sdk`` itself, its submodules likewise, also
    where the original is installed. ``address`` is that of a server, such as ``http://127.0.0.1:4480``, for those
    originals that have theirs hard-wired; without it, the environment's ``MILLPOND_ENDPOINT`` counts.
    """
    wanted = names or NAMES
    for name in wanted:
        if name not in NAMES:
            raise ValueError(f"there is no drop-in for {name!r}, expected one of {', '.join(NAMES)}")
        loaded = sys.modules.get(name)
        if loaded is not None and loaded is not sys.modules.get(_drop_in(name)):
            raise RuntimeError(f"{name!r} was imported before, expected install() to come before its first import")
    if address is not None:
        _address.use(wanted, address)
    _FINDER.names.update(wanted)
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)


def _drop_in(name: str) -> str:
    return f"{__name__}.{name}"


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the drop-in's module behind each import name of an original."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname.partition(".")[0] not in self.names:
            return None
        found = importlib.util.find_spec(_drop_in(fullname))
        if found is None:
            return None
        is_package = found.submodule_search_locations is not None
        loader: Any = _Loader()
        return importlib.machinery.ModuleSpec(fullname, loader, origin=found.origin, is_package=is_package)


class _Loader:
    """Gives the import system a module that has another name as well."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        module = importlib.import_module(_drop_in(spec.name))
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        """It has run already; what it is must not be overwritten by what it is called here."""
        module.__spec__ = self._spec


_FINDER = _Finder()

__all__ = ["NAMES", "install"]
