"""What happens offline: a history is simulated, models are trained, things are published.

Each step is a command that a user could type, run as a process of its own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import requests

from configs.watch import MANIFEST
from stack.demo.child import Child
from stack.demo.pushed import Pushed, read_release
from stack.local import Stack
from stack.settings import ROOT

EXAMPLES: Final = ROOT / "configs" / "examples"
SCORING: Final = EXAMPLES / "scoring"
OFFER: Final = SCORING / "offer.json"
"""The flow that reads tables and asks a model, in place of the one of the same name."""

CHANGED: Final = EXAMPLES / "changed_rule.json"
TRAINING: Final = ROOT / "examples" / "train_click_model.py"

_HTTP_S: Final = 10.0


class Offline:
    """Commands of the demo; their files lie in ``demo/`` of the run directory.

    Args:
        stack: Whose config server and object store are used.
        app: Apollo's appId.
        seed: Of the history and of the training.
    """

    def __init__(self, stack: Stack, app: str, seed: int) -> None:
        self._stack = stack
        self._app = app
        self._seed = str(seed)
        self._folder = stack.settings.run_dir / "demo"
        self._children: list[Child] = []

    def simulate(self, month: int) -> Child:
        """Make the history of a month."""
        return self._start(
            f"history-{month}", "-m", "stack.demo.history", str(self._history(month)),
            "--month", str(month), "--seed", self._seed,
        )  # fmt: skip

    def train(self, month: int) -> Child:
        """Train on a month's history; from the second month on, the model of the month before."""
        before = ["--start-from", str(self._model(month - 1))] if month > 1 else []
        return self._start(
            f"train-{month}", str(TRAINING), str(self._history(month)), "--to",
            str(self._model(month)), "--seed", self._seed, *before,
        )  # fmt: skip

    def publish_table(self, table: str, month: int) -> Child:
        """Publish a month's rows of a table."""
        source = self._history(month) / f"{table}s.parquet"
        return self._publish(f"{table}-{month}", "table", str(SCORING / f"{table}.json"), source)

    def publish_model(self, month: int) -> Child:
        """Publish the model that was trained on a month's history."""
        return self._publish(f"model-{month}", "model", self._model(month))

    def publish_configs(self, *replacements: Path) -> Child:
        """Publish the example configs, some of them replaced."""
        replaced = [word for path in replacements for word in ("--replace", str(path))]
        return self._start(
            "configs", "-m", "cli", "config", "publish", str(EXAMPLES), *replaced, *self._server()
        )

    def announced(self, what: str = "") -> Pushed:
        """Ask the config server what it gives out now.

        Args:
            what: What is new in it.
        """
        path = f"apps/{self._app}/clusters/default/namespaces/{MANIFEST}/releases/latest"
        answer = requests.get(f"{self._stack.config_url}/{path}", timeout=_HTTP_S)
        answer.raise_for_status()
        return read_release(answer.json(), what)

    def end(self) -> None:
        """End what still runs."""
        for child in self._children:
            child.end()

    def _publish(self, name: str, kind: str, *what: str | Path) -> Child:
        store = self._stack.object_store.as_uri()
        return self._start(
            name, "-m", "cli", kind, "publish", *map(str, what), "--objects", store,
            *self._server(),
        )  # fmt: skip

    def _server(self) -> list[str]:
        return ["--server", self._stack.config_url, "--app-id", self._app]

    def _start(self, name: str, *words: str) -> Child:
        child = Child(words, self._folder / "logs" / f"{name}.log")
        self._children.append(child)
        return child

    def _history(self, month: int) -> Path:
        return self._folder / f"month-{month}"

    def _model(self, month: int) -> Path:
        return self._folder / f"model-{month}"
