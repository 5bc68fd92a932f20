"""All data sets that are known, in the order in which they are looked for: each is declared in its reader's module."""

from importlib import import_module
from pkgutil import iter_modules

from equicoherence import sets
from equicoherence.sets.declaration import Declaration

_NO_READERS = ("find", "known")  # they look at what is declared


def _declared() -> tuple[Declaration, ...]:
    """Return the declarations of all modules beside this one, by their ``order``, else by their modules' names."""
    found: dict[int, tuple[str, Declaration]] = {}
    for name in sorted(module.name for module in iter_modules(sets.__path__) if module.name not in _NO_READERS):
        for value in vars(import_module(f"{sets.__name__}.{name}")).values():
            if isinstance(value, Declaration):
                found.setdefault(id(value), (value.order or name, value))
    return tuple(declaration for _, declaration in sorted(found.values(), key=lambda each: each[0]))


DECLARATIONS = _declared()
