"""Which names may be used, and when two of them are the same namespace."""

from __future__ import annotations

import re
from typing import Final

DEFAULT_CLUSTER: Final = "default"
APPLICATION: Final = "application"
NO_APP: Final = "ApolloNoAppIdPlaceHolder"
"""An app id that stands for none: only public namespaces are read."""

FORMATS: Final = frozenset({"properties", "json", "yaml", "yml", "xml", "txt"})
MAX_APP: Final = 64
MAX_CLUSTER: Final = 32
MAX_NAMESPACE: Final = 32
MAX_ITEM_KEY: Final = 128

_NAME: Final = re.compile(r"[0-9a-zA-Z_-]+[0-9a-zA-Z_.-]*")
_PROPERTIES: Final = ".properties"


def fault(kind: str, name: str, longest: int) -> str | None:
    """Why a name may not be used, or None.

    Args:
        kind: What it names, for the message.
        name: As it came.
        longest: Characters allowed.

    >>> fault("cluster", "../etc", 32)
    "invalid cluster '../etc': digits, letters, '_' and '-', then also '.'"
    """
    if not name.strip():
        return f"{kind} is blank"
    if len(name) > longest:
        return f"{kind} of {len(name)} characters, at most {longest} are allowed"
    if not _NAME.fullmatch(name):
        return f"invalid {kind} {name!r}: digits, letters, '_' and '-', then also '.'"
    return None


def strip_properties(namespace: str) -> str:
    """A namespace without a trailing ``.properties`` in any case.

    >>> strip_properties("Application.PROPERTIES")
    'Application'
    """
    if namespace.lower().endswith(_PROPERTIES):
        return namespace[: -len(_PROPERTIES)]
    return namespace


def watch_key(app: str, cluster: str, namespace: str) -> str:
    """The text of the message that a publish sends.

    >>> watch_key("demo", "default", "rules.json")
    'demo+default+rules.json'
    """
    return f"{app}+{cluster}+{namespace}"
