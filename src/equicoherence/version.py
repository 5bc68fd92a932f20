"""The version of the installed package; "not installed" if it is run from its source only."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("equicoherence")
except PackageNotFoundError:
    __version__ = "not installed"
