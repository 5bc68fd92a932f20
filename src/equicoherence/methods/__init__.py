"""Joint-embedding methods. A new method is a file here: its class names its settings, and nothing else is edited."""

from importlib import import_module
from pkgutil import iter_modules

from equicoherence.methods.method import METHODS, Encoded, Method, MethodConfig

for _module in iter_modules(__path__):  # each that is a method notes itself in METHODS
    import_module(f"{__name__}.{_module.name}")

__all__ = ["METHODS", "Encoded", "Method", "MethodConfig"]
