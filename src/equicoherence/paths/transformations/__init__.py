"""The transformations, one family per file. Every file of this folder is found.

Those with a name for `named_path` register it where they are defined (`register_path`), in the order of files.
"""

import importlib
import pkgutil


def find() -> None:
    """Import every file of this folder, in alphabetical order."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


find()
