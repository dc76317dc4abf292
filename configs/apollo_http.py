"""GET against Apollo's config services: discovery, rotation, signatures, limits."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec
import requests

from udfs.errors import ConfigUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from configs.apollo_settings import ClientSettings

OK: Final = 200
UNCHANGED: Final = 304
ABSENT: Final = 404
MAX_BODY_BYTES: Final = 8 << 20  # of one answer; Apollo's value limit is 20,000 characters
_CHUNK_BYTES: Final = 64 << 10
_META_READ_S: Final = 1.0  # as the Java client


class Answer(NamedTuple):
    """Status and body, whole."""

    status: int
    body: bytes


def sign(secret: str, timestamp_ms: int, path_with_query: str) -> str:
    """Apollo's access-key signature.

    Args:
        secret: The access key.
        timestamp_ms: The ``Timestamp`` header.
        path_with_query: Exactly as it goes over the wire.

    >>> path = "/configs/100004458/default/application?ip=10.0.0.1"
    >>> sign("df23df3f59884980844ff3dada30fa97", 1576478257344, path)
    'EoKyziXvKqzHgwx+ijDJwgVTDgE='
    """
    message = f"{timestamp_ms}\n{path_with_query}".encode()
    return base64.b64encode(hmac.new(secret.encode(), message, hashlib.sha1).digest()).decode()


class ApolloHttp:
    """Sends signed requests to one config service after the other until one answers.

    Args:
        settings: Addresses, identity, timeouts.
        session: Its connections.
        now_ms: Wall-clock time for signatures.
        uniform: Shuffles addresses.
    """

    def __init__(
        self,
        settings: ClientSettings,
        session: requests.Session,
        now_ms: Callable[[], int],
        uniform: Callable[[float, float], float],
    ) -> None:
        self._settings = settings
        self._session = session
        self._session.trust_env = False  # a proxy or .netrc of the machine is not meant for us
        self._now_ms = now_ms
        self._uniform = uniform
        self._services = list(settings.services)

    def get(self, path: str, query: Mapping[str, str], timeout_s: float) -> Answer:
        """Ask the services in turn; the one that answered stays first."""
        problems = []
        for service in self._known_services():
            try:
                answer = self._send(service, path, query, timeout_s)
            except (requests.RequestException, OSError) as error:
                problems.append(f"{service}: {short_reason(error)}")
            else:
                if answer.status in (OK, UNCHANGED, ABSENT):
                    return answer
                text = answer.body[:200].decode(errors="replace")
                problems.append(f"{service}: status {answer.status} {text}".rstrip())
                if 400 <= answer.status < 500:  # noqa: PLR2004 - our fault: others say the same
                    break
            self._forget(service)
        raise ConfigUnavailable(f"{path}: " + "; ".join(problems))

    def _send(self, service: str, path: str, query: Mapping[str, str], timeout_s: float) -> Answer:
        url = service.rstrip("/") + path
        request = self._session.prepare_request(requests.Request("GET", url, params=dict(query)))
        if secret := self._settings.secret:
            timestamp_ms = self._now_ms()
            signature = sign(secret, timestamp_ms, request.path_url)
            request.headers["Timestamp"] = str(timestamp_ms)
            request.headers["Authorization"] = f"Apollo {self._settings.app_id}:{signature}"
        timeouts = (self._settings.connect_timeout_s, timeout_s)
        with self._session.send(
            request, timeout=timeouts, allow_redirects=False, stream=True
        ) as response:
            body = bytearray()
            for chunk in response.iter_content(_CHUNK_BYTES):
                body += chunk
                if len(body) > MAX_BODY_BYTES:
                    raise requests.RequestException(
                        f"an answer of more than {MAX_BODY_BYTES} bytes"
                    )
            return Answer(response.status_code, bytes(body))

    def _known_services(self) -> list[str]:
        if not self._services:
            self._services = self._discover()
        return list(self._services)

    def _discover(self) -> list[str]:
        problems = []
        for meta in sorted(self._settings.meta, key=lambda _: self._uniform(0, 1)):
            try:
                query = {"appId": self._settings.app_id}
                status, body = self._send(meta, "/services/config", query, _META_READ_S)
                found = msgspec.json.decode(body, type=list[_Service]) if status == OK else []
            except (requests.RequestException, OSError, msgspec.DecodeError) as error:
                problems.append(f"{meta}: {short_reason(error)}")
                continue
            urls = [service.homepage_url for service in found if service.homepage_url]
            if urls:
                return sorted(urls, key=lambda _: self._uniform(0, 1))
            problems.append(f"{meta}: status {status}, no config service is registered there")
        raise ConfigUnavailable("no config service found: " + "; ".join(problems))

    def _forget(self, service: str) -> None:
        """Try another one first next time; ask the meta server again when all have failed."""
        if self._settings.services:
            self._services.remove(service)
            self._services.append(service)
        elif service in self._services:
            self._services.remove(service)


class _Service(msgspec.Struct, rename="camel"):
    homepage_url: str = ""


def short_reason(error: Exception) -> str:
    """The innermost reason of a requests error, in one line."""
    reason: BaseException = error
    while (inner := reason.__cause__ or reason.__context__) is not None:
        reason = inner
    text = str(reason) or type(reason).__name__
    return " ".join(text.split())[:300]
