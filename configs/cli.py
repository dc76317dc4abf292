"""``millrace config``: publish, show, check a manifest; stop flows and rules.

:func:`make_app` takes the compiler, so that ``check`` and ``publish`` see what the watcher would;
:data:`app` is the same without it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console

from configs import manifest, objects, pack
from configs.assemble import assemble
from configs.compare_and_set import update
from configs.kill import Kill, parse_kill
from configs.manifest import Resolved
from configs.publish import Publisher
from configs.watch import KILL, MANIFEST
from udfs.errors import ConfigInvalid, ConfigUnavailable, Fault, MillraceError

Compile = Callable[[Resolved], Sequence[Fault]]

LOCAL: Final = "http://127.0.0.1:28080"  # where `millrace up` puts the config server

Server = Annotated[
    str, typer.Option(envvar="APOLLO_ADMIN", help="Apollo's admin service, or our config server.")
]
App = Annotated[str, typer.Option(envvar="APP_ID", help="Apollo appId.")]
Cluster = Annotated[str, typer.Option(envvar="APOLLO_CLUSTER", help="Apollo cluster.")]
Operator = Annotated[str, typer.Option(help="Who publishes; an Apollo user.")]
Namespace = Annotated[str, typer.Option(help="Namespace, with its suffix.")]
Source = Annotated[
    Path,
    typer.Argument(
        exists=True,
        help="The text; or a folder with rules.json, aggregates.json and flows.json, which become "
        "a manifest of the next revision; pointers to tables and models stay.",
    ),
]
File = Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="The text.")]


def make_app(compile_: Compile | None = None) -> typer.Typer:
    """The sub-commands.

    Args:
        compile_: Gives the faults of a resolved manifest, as the watcher's validation does.
    """
    app = typer.Typer(no_args_is_help=True, help="Publish, show and check configs.")

    @app.callback()
    def root(context: typer.Context) -> None:
        context.obj = compile_

    for command in (check, publish, show, kill):
        app.command()(command)
    return app


def check(context: typer.Context, file: File) -> None:
    """Say everything that is wrong with a manifest; nothing is published."""
    resolved = examine(_read(file), context.obj)
    parts = {name: len(getattr(resolved, name)) for name in manifest.PARTS}
    shown = ", ".join(f"{count} {name}" for name, count in parts.items() if count) or "empty"
    _say(f"revision {resolved.revision} is right: {shown}; digest {resolved.digest[:12]}")


def publish(
    context: typer.Context,
    source: Source,
    *,
    replace: Annotated[
        list[Path] | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="One rule, aggregate or flow, in place of the one of the same name; repeatable.",
        ),
    ] = None,
    namespace: Namespace = MANIFEST,
    server: Server = LOCAL,
    app_id: App = "millrace",
    cluster: Cluster = "default",
    operator: Operator = "apollo",
    comment: Annotated[str, typer.Option(help="Why; kept with the release.")] = "",
    object_store: Annotated[
        str | None,
        typer.Option("--objects", help="URI of a directory for parts that are too long."),
    ] = None,
    force: Annotated[bool, typer.Option(help="Publish although it is wrong.")] = False,
) -> None:
    """Publish a text or a folder, after a check if it is a manifest or the kill switch.

    A text replaces what is published, pointers too. A folder keeps pointers, also those that
    are published meanwhile.
    """
    publisher = Publisher(server, app_id, cluster, operator)

    def fit(text: str) -> str:
        if not force:
            if namespace == MANIFEST:
                examine(text, context.obj)
            elif namespace == KILL:
                parse_kill(text)
        return text if object_store is None else pack.pack(text, objects.ObjectStore(object_store))

    def change(current: str | None) -> str:
        revision = _revision_after(current, namespace)
        return fit(assemble(source, revision, replace or (), current))

    if source.is_dir():
        updated = update(publisher, namespace, change, comment)
        text, release = updated.text, updated.release_key
    elif replace:
        raise MillraceError(f"--replace goes with a folder, {source} is a file: edit the file")
    else:
        text = fit(_read(source))
        release = publisher.publish(namespace, text, comment)
    revision = f"revision {manifest.revision_of(text)}, " if namespace == MANIFEST else ""
    _say(f"{namespace}: {revision}release {release}")


def show(
    namespace: Namespace = MANIFEST,
    server: Server = LOCAL,
    app_id: App = "millrace",
    cluster: Cluster = "default",
) -> None:
    """Print what is published."""
    current = Publisher(server, app_id, cluster).current(namespace)
    if current is None:
        raise ConfigUnavailable(f"nothing is published in {namespace} of {app_id} at {server}")
    typer.echo(current.text or "")


def kill(
    *,
    flow: Annotated[list[str] | None, typer.Option(help="Stop a flow; repeatable.")] = None,
    rule: Annotated[list[str] | None, typer.Option(help="Stop a rule; repeatable.")] = None,
    server: Server = LOCAL,
    app_id: App = "millrace",
    cluster: Cluster = "default",
    operator: Operator = "apollo",
    comment: Annotated[str, typer.Option(help="Why; kept with the release.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Stop every flow.")] = False,
    nothing: Annotated[bool, typer.Option("--none", help="Stop nothing else.")] = False,
) -> None:
    """Stop more flows or rules; --none first lets go what was stopped before."""
    publisher = Publisher(server, app_id, cluster, operator)
    before = Kill() if nothing else stopped(publisher)
    after = Kill(
        flows=before.flows | set(flow or ()),
        rules=before.rules | set(rule or ()),
        all=before.all or everything,
    )
    if after == before and not nothing:
        _say(f"nothing changes; stopped: {after.to_json()}")
        return
    publisher.publish(KILL, after.to_json(), comment)
    _say(f"stopped: {after.to_json()}")


def examine(text: str, compile_: Compile | None = None) -> Resolved:
    """Read a manifest as the watcher will.

    Args:
        text: Its JSON.
        compile_: See :func:`make_app`.

    Raises:
        ConfigInvalid: With all faults.
    """
    resolved = manifest.resolve(text, objects.get)
    faults = compile_(resolved) if compile_ is not None else ()
    if faults:
        raise ConfigInvalid(faults)
    return resolved


def next_revision(publisher: Publisher, namespace: str = MANIFEST) -> int:
    """The revision that may be published next: 1, or one more than what is there.

    Raises:
        MillraceError: What is published is no manifest.
    """
    current = publisher.current(namespace)
    return _revision_after(current.text if current else None, namespace)


def stopped(publisher: Publisher) -> Kill:
    """What is stopped now.

    Raises:
        MillraceError: The published switch cannot be read; so adding to it would lose it.
    """
    current = publisher.current(KILL)
    if current is None or current.text is None:
        return Kill()
    try:
        return parse_kill(current.text)
    except ConfigInvalid as error:
        raise MillraceError(
            f"the published kill switch is wrong ({error}); start anew with --none"
        ) from error


def _revision_after(text: str | None, namespace: str) -> int:
    if text is None:
        return 1
    revision = manifest.revision_of(text)
    if revision is None:
        raise MillraceError(
            f"what is published in {namespace} is no manifest, so the next revision is unknown: "
            "publish a manifest with a revision as a file"
        )
    return revision + 1


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        fault = Fault(f"{file}:{error.start}", "not UTF-8", "write the file as UTF-8")
        raise ConfigInvalid([fault]) from error


def _say(text: str) -> None:
    Console(highlight=False, markup=False, soft_wrap=True).print(text)


app = make_app()
