"""What goes wrong between here and the Hugging Face Hub, in one sentence each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

LOG_IN = "log in with `hf auth login`, or set HF_TOKEN"
CHECK = "check the connection, HF_ENDPOINT and HF_HUB_OFFLINE"
REFUSED = (401, 403)
NO_MODEL = (
    "the repository lacks config.json or model.safetensors, so it is no model of timm with weights that can be read "
    "without running code; files of other kinds are not read"
)


@contextmanager
def explained(name: str, lacks: str = NO_MODEL) -> Iterator[None]:
    """Turn what huggingface_hub raises into one sentence that quotes ``name`` and says what to do.

    lacks: what it means that a file is not there.

    Raises FileNotFoundError for what is not there, or not for whoever asks; PermissionError for what may not be
    written; ValueError for a name that none can have; ConnectionError for all else.
    """
    from huggingface_hub import errors

    try:
        yield
    except errors.HFValidationError as error:
        raise ValueError(f"{name}: {' '.join(str(error).split())}; write OWNER/NAME") from error
    except errors.GatedRepoError as error:
        raise FileNotFoundError(f"{name}: access has to be asked for on its page of the Hub; then {LOG_IN}") from error
    except errors.RepositoryNotFoundError as error:
        raise FileNotFoundError(
            f"{name}: the Hub has no such repository, or it is private; check the name, or {LOG_IN}"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise FileNotFoundError(f"{name}: the repository has no such revision; give another, or none") from error
    except errors.LocalEntryNotFoundError as error:  # before the more general one: the Hub was not reached
        raise ConnectionError(
            f"{name}: the Hub cannot be reached, and its cache on this machine does not hold the whole model; {CHECK}"
        ) from error
    except errors.EntryNotFoundError as error:
        raise FileNotFoundError(f"{name}: {lacks}") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in REFUSED:
            raise PermissionError(
                f"{name}: the Hub refuses access ({status}), so the token is wrong or may not do this; {LOG_IN}"
            ) from error
        raise ConnectionError(f"{name}: the Hub answers with status {status}; try again later") from error
    except Exception as error:
        if not isinstance(error, (ConnectionError, errors.HfHubHTTPError.__bases__[0])):
            raise  # else it is of the library that HTTP is spoken by
        reason = " ".join(str(error).split())
        raise ConnectionError(f"{name}: the Hub cannot be reached ({reason}); {CHECK}") from error
