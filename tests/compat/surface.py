"""Reports what a package shows: modules, names, signatures with their defaults, attributes of classes, fields of
dataclasses, constants, bases. Annotations are left out, since one type has several spellings.

Only what the package defines counts, not what it imported, and no name that begins with an underscore.
"""

from __future__ import annotations

import dataclasses
import enum
import importlib
import inspect
import pkgutil
import re
import sys
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import Any

from given import report

CONSTANTS = (str, bytes, int, float, bool, type(None), tuple, list, dict, set, frozenset)
FUNCTIONS = (FunctionType, BuiltinFunctionType, MethodType)
#: What an alias such as `Literal["a", "b"]` is made of.
ALIASES = ("_LiteralGenericAlias", "_UnionGenericAlias", "_GenericAlias", "_CallableGenericAlias", "UnionType")
#: Methods that users reach by syntax.
SYNTAX = {
    "__init__", "__call__", "__enter__", "__exit__", "__aenter__", "__aexit__", "__iter__", "__aiter__", "__eq__",
    "__hash__", "__len__",
}  # fmt: skip


class Surface:
    def __init__(self, package: str) -> None:
        self._package = package

    def modules(self) -> dict[str, Any]:
        root = importlib.import_module(self._package)
        names = [self._package]
        if hasattr(root, "__path__"):
            names += [found.name for found in pkgutil.walk_packages(root.__path__, f"{self._package}.")]
        public = [name for name in names if not any(part.startswith("_") for part in name.split("."))]
        return {name.replace(".", "/"): self._module(importlib.import_module(name)) for name in public}

    def _module(self, module: ModuleType) -> dict[str, Any]:
        names = {
            name: value for name, value in vars(module).items() if not name.startswith("_") and name != "TYPE_CHECKING"
        }
        shown: dict[str, Any] = {"names": {}}
        for name in ("__all__", "__version__"):
            if hasattr(module, name):
                value = getattr(module, name)
                shown[name] = sorted(value) if isinstance(value, (list, tuple)) else value
        for name, value in sorted(names.items()):
            described = self._value(value)
            if described is not None:
                shown["names"][name] = described
        return shown

    def _value(self, value: Any) -> Any:
        # Of what is from elsewhere nothing but the type is looked at: Django's settings want to be set up first.
        kind = type(value)
        if issubclass(kind, CONSTANTS):
            return {"constant": self._text(value)}
        if kind.__name__ in ALIASES:
            return {"alias": self._text(value)}
        if issubclass(kind, type):
            return self._class(value) if self._is_own(value.__module__) else None
        if issubclass(kind, FUNCTIONS):
            return {"function": self._signature(value)} if self._is_own(value.__module__) else None
        return {"instance": kind.__name__} if self._is_own(kind.__module__) else None

    def _class(self, shown: type) -> dict[str, Any]:
        described: dict[str, Any] = {"bases": [base.__name__ for base in shown.__mro__[1:-1]]}
        if dataclasses.is_dataclass(shown):
            fields = dataclasses.fields(shown)
            described["fields"] = [[one.name, self._default(one), one.init, one.repr] for one in fields]
            described["frozen"] = shown.__dataclass_params__.frozen  # type: ignore[attr-defined]
        if issubclass(shown, enum.Enum):
            described["members"] = {one.name: self._text(one.value) for one in shown}
        members = {name: inspect.getattr_static(shown, name) for name in dir(shown) if self._is_shown(shown, name)}
        described["attributes"] = {name: self._attribute(shown, name, raw) for name, raw in members.items()}
        return described

    def _is_shown(self, shown: type, name: str) -> bool:
        if name.startswith("_") and name not in SYNTAX:
            return False
        # What a base from elsewhere brings is that base's.
        owner = next((base for base in shown.__mro__ if name in vars(base)), None)
        return (
            owner is not None
            and self._is_own(owner.__module__)
            and not (name == "__hash__" and vars(owner)[name] is None)
        )

    def _attribute(self, shown: type, name: str, raw: Any) -> Any:
        if isinstance(raw, property):
            return {"property": raw.fset is not None}
        value = getattr(shown, name)
        if callable(value):
            kind = {staticmethod: "static", classmethod: "class"}.get(type(raw), "method")
            return {kind: self._signature(value), "async": inspect.iscoroutinefunction(value)}
        return {"constant": self._text(value)}

    def _signature(self, function: Any) -> Any:
        try:
            parameters = inspect.signature(function).parameters.values()
        except ValueError:
            return None
        return [
            [one.name, one.kind.name, "required" if one.default is one.empty else self._text(one.default)]
            for one in parameters
        ]

    def _default(self, one: Any) -> str:
        if one.default is not dataclasses.MISSING:
            return self._text(one.default)
        if one.default_factory is not dataclasses.MISSING:
            return f"made: {self._text(one.default_factory())}"
        return "required"

    def _is_own(self, module: str) -> bool:
        # A drop-in may keep things elsewhere among ours.
        return f"{module}.".startswith((f"{self._package}.", "millpond."))

    def _text(self, value: Any) -> str:
        if isinstance(value, (set, frozenset)):
            value = sorted(map(repr, value))
        text = repr(value).replace("millpond.compat.", "")
        # What is made anew for each object shows when that was.
        text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "<time>", text)
        return re.sub(r" at 0x[0-9a-f]+", "", text)


report(Surface(sys.argv[1]).modules())
