"""`vnome health`: the health check of a container, which needs no shell or other program in it."""

import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Annotated

import typer

from pipeline.errors import EXIT_DONE, InputError, ServiceError

_MOST_REASON = 200  # bytes of an answer that are read


def health(
    url: Annotated[str, typer.Argument(metavar="URL", help="As in http://127.0.0.1:9100/readyz.")],
    timeout: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds to wait for the answer.")] = 3.0,
) -> int:
    """Ask a process whether it is well: exit code 0 when it answers 200, else 3 and the reason."""
    if not url.startswith(("http://", "https://")):
        raise InputError(f"{url!r} is no address; give one as in http://127.0.0.1:9100/readyz")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))  # a proxy knows nothing of this machine
    try:
        with opener.open(url, timeout=timeout) as answer:
            status, told = answer.status, answer.read(_MOST_REASON)
    except urllib.error.HTTPError as error:
        with error:
            status, told = error.code, error.read(_MOST_REASON)
    except (OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", None) or error
        told_as = " ".join(str(getattr(reason, "strerror", None) or reason).split())
        raise ServiceError(f"{url} does not answer: {told_as}") from None
    text = " ".join(told.decode(errors="replace").split())
    if status != 200:
        raise ServiceError(f"{url} answers {status}: {text or 'without a reason'}")
    print(text)
    return EXIT_DONE
