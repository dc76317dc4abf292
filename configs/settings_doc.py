"""The table of settings in docs/settings.md, made from the model that checks them.

``python -m configs.settings_doc`` writes it anew.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Final, get_args

from pydantic.fields import FieldInfo

from configs.settings import DecideSettings

PAGE: Final = Path(__file__).resolve().parent.parent / "docs" / "settings.md"

_INTRODUCTION: Final = """\
# Settings of the main job

<!-- Made by `python -m configs.settings_doc` from configs/settings.py. -->

Each setting is an option of the command line (`millrace submit decide --parallelism 2`) and a
key of the TOML file that `--settings FILE` names (`parallelism = 2`). The command line wins
over the file, the file over the environment (`APOLLO_META` for `config_url`, `APP_ID` for
`config_app`), and that over the default. Durations are texts of an integer and `ms`, `s`, `m`,
`h` or `d`; a list is written with commas on the command line and as a list of texts in the
file. What cannot work is refused before anything is submitted, with all faults at once.

| setting | default | meaning |
| --- | --- | --- |
"""

_RULES: Final = """
What must fit together: `shards` is a power of two, divides `max_parallelism` and is at least
`parallelism`; no two topics are the same; `transaction_timeout` is at most the broker's limit.
`shards` and `max_parallelism` stay what they were when the job was first started: state lies by
them. On the command line underscores become dashes: `--batch-time 20ms`.
"""


def document(model: type[DecideSettings]) -> str:
    """Give the page.

    Args:
        model: Whose fields it shows.
    """
    rows = [
        f"| `{name}` | {_default(field)} | {_meaning(field)} |"
        for name, field in model.model_fields.items()
    ]
    return _INTRODUCTION + "\n".join(rows) + "\n" + _RULES


def _default(field: FieldInfo) -> str:
    """Give the default as it would be written; durations are texts in the model, too."""
    return "empty" if field.default in ("", ()) else f"`{field.default}`"


def _meaning(field: FieldInfo) -> str:
    """Give the description, with the values that are allowed."""
    text = (field.description or "").replace("|", "\\|")
    choices = [value for value in get_args(field.annotation) if isinstance(value, str)]
    if choices:
        text += " One of " + ", ".join(f"`{choice}`" for choice in choices) + "."
    bounds = {
        kind: getattr(limit, kind)
        for limit in field.metadata
        for kind in ("ge", "le")
        if hasattr(limit, kind)
    }
    if bounds:
        text += f" {bounds['ge']:,} to {bounds['le']:,}."
    return re.sub(r"\s+", " ", text)


if __name__ == "__main__":
    PAGE.write_text(document(DecideSettings), encoding="utf-8")
    sys.stdout.write(f"{PAGE} written\n")
