"""Chat: one request to an endpoint that speaks OpenAI's chat completions, with bounded retries; standard library."""

import json
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from http.client import HTTPException
from typing import Any, NamedTuple

from openuni.errors import BadInput

KEYS = ("OPENUNI_CAPTION_KEY", "OPENAI_API_KEY")
"""Variables that hold the endpoint's key; the first that is set counts. Keys are taken from nowhere else."""
AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
"""HTTP statuses that may go away by themselves."""
LARGEST_ANSWER = 4 << 20
LONGEST_WAIT_S = 60.0


class ChatFailed(Exception):
    """The endpoint gave no answer that can be used. The message says what it said and how often it was asked."""


class Answer(NamedTuple):
    """What the endpoint said."""

    text: str
    model: str
    """The model's name as the endpoint gives it."""
    prompt_tokens: int | None
    completion_tokens: int | None
    cut: bool
    """The answer ended at the largest number of tokens."""
    attempts: int


def check_endpoint(url: str) -> str:
    """Return the address that requests go to.

    Args:
        url: the endpoint's base, http://host:8000/v1, with or without /chat/completions.

    Raises:
        BadInput: it is no http address, or holds a key or password.
    """
    parts = urllib.parse.urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"--caption-url must be http://HOST:PORT/v1 or https://..., got {url!r}.")
    if parts.username or parts.password or parts.query:
        raise BadInput(f"--caption-url must hold no key or password; set {KEYS[0]} instead.")
    base = url.rstrip("/")
    return base if base.endswith("/chat/completions") else f"{base}/chat/completions"


def key_of_environment() -> str:
    """Return the endpoint's key; empty if none is set."""
    return next((os.environ[name] for name in KEYS if os.environ.get(name)), "")


def ask(address: str, body: dict[str, Any], *, key: str, timeout_s: float, retries: int, wait_s: float) -> Answer:
    """Send a request until it is answered.

    Args:
        address: what `check_endpoint` gave.
        body: the request: model, messages, ...
        key: sent as a bearer token; empty sends none.
        timeout_s: of one try, seconds.
        retries: tries after the first.
        wait_s: before the first retry, seconds; doubled each time, or as long as Retry-After says; at most a minute.

    Raises:
        ChatFailed: no answer, or none that can be used.
    """
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    if key:
        headers["Authorization"] = f"Bearer {key}"
    content = json.dumps(body).encode()
    opener = urllib.request.build_opener(_NoRedirect)
    for attempt in range(1, retries + 2):
        request = urllib.request.Request(address, data=content, headers=headers, method="POST")
        pause = wait_s * 2 ** (attempt - 1)
        try:
            with opener.open(request, timeout=timeout_s) as response:
                return _read(response.read(LARGEST_ANSWER + 1), attempt)
        except urllib.error.HTTPError as error:
            said = f"HTTP {error.code} {_short(error.read(2000), key)}".strip()
            error.close()
            if error.code not in AGAIN:
                raise ChatFailed(f"{said} (asked {attempt} times)") from None
            pause = _retry_after(error.headers.get("Retry-After")) or pause
        except (OSError, HTTPException) as error:  # URLError and time-outs are OSErrors
            said = str(getattr(error, "reason", error)) or type(error).__name__
        if attempt <= retries:
            time.sleep(min(pause, LONGEST_WAIT_S))
    raise ChatFailed(f"{said} (asked {retries + 1} times)")


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: it would send pictures and key to a host that nobody named."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """Leave the redirect as the error it is."""
        return


def _read(content: bytes, attempts: int) -> Answer:
    if len(content) > LARGEST_ANSWER:
        raise ChatFailed(f"an answer of more than {LARGEST_ANSWER} bytes")
    try:
        told = json.loads(content)
        choice = told["choices"][0]
        text = choice["message"]["content"]
        if isinstance(text, list):  # parts, as some servers give them
            text = "".join(part.get("text", "") for part in text)
        text = " ".join(text.split())
        usage = told.get("usage") or {}
        tokens = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")]
        model, cut = str(told.get("model") or ""), choice.get("finish_reason") == "length"
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ChatFailed(f"an answer that is no chat completion ({error!r})") from error
    if not text:
        raise ChatFailed("an empty answer")
    counted = [one if isinstance(one, int) else None for one in tokens]
    return Answer(text, model, counted[0], counted[1], cut, attempts)


def _short(content: bytes, key: str) -> str:
    """The message of an error's body, without the key that a server may repeat."""
    text = content.decode("utf-8", "replace")
    try:
        told = json.loads(text)
        error = told.get("error", told)
        text = str(error.get("message", error)) if isinstance(error, dict) else str(error)
    except (ValueError, AttributeError):
        pass
    text = " ".join(text.split())[:200]
    return text.replace(key, "...") if key else text


def _retry_after(text: str | None) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError:  # a date; the doubling wait will do
        return 0.0
