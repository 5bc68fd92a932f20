"""The transformations, a family a file. Being in this folder is all a family needs to be found.

Those with a name for `named_path` say it where they are defined (`register_path`); names stand in the order of files.
"""

import importlib
import pkgutil


def find() -> None:
    """Import every file of this folder, in alphabetical order."""
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


find()
