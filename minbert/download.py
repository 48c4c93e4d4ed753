"""Model files from the hub into its cache: is it there, fetch what BERT needs, check every file against its hash.

The fetching is huggingface_hub's, with its progress bars; nothing is imported of it before it is needed.
"""

import http.client
import os
import ssl
import threading
import urllib.error
import urllib.request
from pathlib import Path

from minbert.files import MinbertError
from minbert.hub import verify_blob

PATIENCE = 2.0  # seconds for the hub to answer


def find_trouble() -> str:
    """Why nothing can be fetched, within 2 seconds, or "". Asks in a thread: looking up a host's name can hang."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        if os.environ.get(name, "").upper() in ("1", "ON", "YES", "TRUE"):
            return f"{name} is set"
    answers = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(_endpoint(), method="HEAD"), timeout=PATIENCE).close()
            answers.append(True)
        except urllib.error.HTTPError:  # a status is an answer
            answers.append(True)
        except (OSError, ValueError, http.client.HTTPException) as error:
            if isinstance(getattr(error, "reason", None), ssl.SSLError):  # certificates are the library's business
                answers.append(True)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    return "" if answers else f"the Hugging Face hub does not answer within {PATIENCE:.0f} seconds"


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def download(repository: str, weights: tuple[str, str], cache: Path) -> Path:
    """The folder in the cache that the model's files were fetched into: of the two names of weights, the first there.

    Raises MinbertError when the hub has no such model, or the fetching, the writing or a file's hash fails.
    """
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError

    def fetch(*names: str) -> Path:
        """The folder of the first of these files that the hub has."""
        for name in names:
            try:
                path = Path(hf_hub_download(repository, name, cache_dir=cache, endpoint=_endpoint()))
            except LocalEntryNotFoundError:  # the network failed: that the hub has no such file is not known
                raise
            except EntryNotFoundError:
                continue
            _check_hash(path)
            return path.parent
        raise MinbertError(f"{repository} on the hub has no {names[0]}", "choose a BERT with its vocabulary")

    try:
        fetch("config.json")
        fetch("vocab.txt")
        fetch("tokenizer_config.json", "vocab.txt")  # older models have no such settings
        return fetch(*weights)
    except MinbertError:
        raise
    except RepositoryNotFoundError as error:
        raise MinbertError(f"{repository} is not on the hub, or not open to all") from error
    except Exception as error:  # the classes of three libraries: network, disk, names
        reason = (str(error).strip() or type(error).__name__).partition("\n")[0]
        raise MinbertError(f"fetching {repository} into {cache} failed: {reason}",
                           "try again; where the folder cannot be written, set HF_HOME to one that can") from error


def _check_hash(path: Path) -> None:
    """Removes what was fetched where it is not what its hash says, and raises MinbertError."""
    stored = path.resolve()
    try:
        verify_blob(path)
    except MinbertError as error:
        path.unlink()
        stored.unlink(missing_ok=True)
        raise MinbertError(f"SHA-256 mismatch for {path.name}: what was downloaded is damaged", "try again") from error
