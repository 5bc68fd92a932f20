"""Errors of wrong use of a command or a function, found before its work begins."""

from __future__ import annotations

import traceback
from collections.abc import Iterable, Iterator
from contextlib import contextmanager


class Refused(Exception):
    """Abstract base: wrong use, found before the work began. The command's exit status is 2; 1 for all other errors."""


class RefusedValue(Refused, ValueError):
    """An argument, a configuration, data or a model that cannot be used."""


class RefusedMissing(Refused, FileNotFoundError):
    """A file or a folder that is not there."""


class RefusedExisting(Refused, FileExistsError):
    """A file or a folder that is there, and would be overwritten."""


@contextmanager
def refusing() -> Iterator[None]:
    """Turn what wrong use raises into a `Refused` of the same message and kind: what is inside comes before the work.

    Wrong use raises ValueError, FileNotFoundError, FileExistsError and YAMLError; all else passes as it is.
    """
    try:
        yield
    except Refused:
        raise
    except FileNotFoundError as error:
        raise RefusedMissing(*_reason(error)) from error
    except FileExistsError as error:
        raise RefusedExisting(*_reason(error)) from error
    except ValueError as error:
        raise RefusedValue(str(error)) from error
    except Exception as error:
        from yaml import YAMLError  # here, since the start of a command loads nothing that it does not need

        if isinstance(error, YAMLError):
            raise RefusedValue(str(error)) from error
        raise


def _reason(error: OSError) -> tuple[object, ...]:
    """Return what makes an error of the same text and file: the system's own have a number, ours have not."""
    return error.args if error.errno is None else (error.errno, error.strerror, error.filename)


def one_line(error: BaseException) -> str:
    """Return an error's text in one line of at most 200 letters; of an assertion without words, its code."""
    frames = traceback.extract_tb(error.__traceback__) if isinstance(error, AssertionError) else ()
    code = frames[-1].line if frames else None
    text = str(error) or code or type(error).__name__
    return " ".join(text.split())[:200]


def unknown(what: str, given: object, known: Iterable[object], place: str = "") -> ValueError:
    """Return the error for an unknown name, with the nearest known ones.

    what: what the name is of, such as "recipe". given: the name. known: all names there are. place: what stands before
    each of them, such as "optim.".
    """
    import difflib  # a misspelt name is rare, and this costs as much as all else that a command starts with

    names = [str(name) for name in known]
    near = difflib.get_close_matches(str(given), names, n=1)
    hint = f"; is it {place + near[0]!r}? Choose" if near else "; choose"
    quoted = f"{place}{given}" if place else given
    return ValueError(f"{what} {quoted!r} is unknown{hint} one of {', '.join(place + name for name in names)}")
