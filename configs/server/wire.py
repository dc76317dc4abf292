"""JSON and errors as Apollo writes them, and bodies as it takes them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.responses import Response

from configs.server import names

if TYPE_CHECKING:
    from starlette.requests import Request

MAX_BODY_BYTES: Final = 1 << 20  # an item of 20,000 characters is 120 kB at most as JSON
_JSON: Final = "application/json;charset=UTF-8"
_PACKAGE: Final = "com.ctrip.framework.apollo.common.exception"

# Gson escapes these inside strings; outside of strings JSON has none of them.
_ESCAPES: Final = str.maketrans(
    {char: f"\\u{ord(char):04x}" for char in ("<", ">", "&", "=", "'", "\u2028", "\u2029")}
)


class ApolloError(Exception):
    """A request that is answered with an error.

    Args:
        status: HTTP status.
        message: What is wrong and what would be right.
        kind: Name of Apollo's exception, for the body.
    """

    def __init__(
        self, status: int, message: str, kind: str = f"{_PACKAGE}.BadRequestException"
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.kind = kind


def bad_request(message: str) -> ApolloError:
    """400."""
    return ApolloError(400, message)


def not_found(message: str) -> ApolloError:
    """404."""
    return ApolloError(404, message, f"{_PACKAGE}.NotFoundException")


def gson(value: Any) -> str:
    r"""JSON text as Gson writes it: fields that are None left out, some characters escaped.

    >>> print(gson({"a": "<b>", "c": None}))
    {"a":"\u003cb\u003e"}
    """
    text = json.dumps(_without_null(value), ensure_ascii=False, separators=(",", ":"))
    return text.translate(_ESCAPES)


def answer(value: Any, status: int = 200) -> Response:
    """A JSON response."""
    return Response(gson(value), status, media_type=_JSON)


def empty(status: int) -> Response:
    """A response without body, e.g. 304."""
    return Response(status_code=status)


async def error_response(_request: Request, error: Exception) -> Response:
    """The body of Apollo's exception handler."""
    assert isinstance(error, ApolloError)
    body = {
        "exception": error.kind,
        "message": error.message,
        "status": error.status,
        "timestamp": datetime.now(UTC).isoformat(),
    }
    return answer(body, error.status)


async def read_body(request: Request) -> dict[str, Any]:
    """The JSON object of a request.

    Raises:
        ApolloError: 400: too large, of another media type, or not an object.
    """
    if "json" not in request.headers.get("content-type", ""):
        raise bad_request("the body must be JSON: set Content-Type: application/json")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise bad_request(f"the body is larger than {MAX_BODY_BYTES} bytes")
    try:
        return msgspec.json.decode(bytes(body), type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise bad_request(f"the body is not a JSON object: {error}") from None


def text_field(body: dict[str, Any], key: str, longest: int, default: str | None = None) -> str:
    """A text of a body.

    Raises:
        ApolloError: 400: absent without default, not a text, too long.
    """
    value = body.get(key)
    if value is None:
        value = default
    if not isinstance(value, str):
        raise bad_request(f"{key} must be a text")
    if len(value) > longest:
        raise bad_request(f"{key} too long. length limit:{longest}")
    return value


def checked_name(kind: str, name: str, longest: int) -> str:
    """A name that may be used.

    Raises:
        ApolloError: 400.
    """
    if fault := names.fault(kind, name, longest):
        raise bad_request(fault)
    return name


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_null(item) for item in value]
    return value
