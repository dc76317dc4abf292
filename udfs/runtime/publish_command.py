"""``millrace table`` and ``millrace model``."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from configs import objects, strict_json
from configs.cli import LOCAL, App, Cluster, Operator, Server
from configs.manifest import Ref
from configs.pointers import NAMES, pointer_of
from configs.publish import Publisher
from configs.watch import MANIFEST
from feature_dist.manifest import decode_manifest
from feature_dist.pointer import read_pointers
from feature_dist.spec import TableSpec, read_spec
from feature_dist.sst import take_in
from feature_dist.store import DirectoryStore
from feature_dist.subscriber.table import Table, fetch
from udfs.errors import ConfigInvalid, ConfigUnavailable, Fault, MillraceError
from udfs.runtime.config_command import compile_
from udfs.runtime.publishing import Target, publish_table, publish_version

Objects = Annotated[
    str,
    typer.Option(
        "--objects",
        envvar="MILLRACE_OBJECTS",
        help="URI of the object store, e.g. file:///srv/objects; workers must see it, too.",
    ),
]
Comment = Annotated[str, typer.Option(help="Why; kept with the release.")]
Force = Annotated[bool, typer.Option(help="Publish although a flow does not compile with it.")]

table_app: Final = typer.Typer(no_args_is_help=True, help="Publish and look into feature tables.")
model_app: Final = typer.Typer(no_args_is_help=True, help="Publish models.")


@model_app.callback()
@table_app.callback()
def _root() -> None:
    """Make a group even of one command."""


@table_app.command("check")
def check_table(
    spec: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A table spec.")],
) -> None:
    """Say everything that is wrong with a table spec."""
    found = spec_of(spec)
    _say(f"{found.table}: {len(found.columns)} columns, {found.distribution}, "
         f"{found.partitions} partitions")  # fmt: skip


@table_app.command("publish")
def publish_a_table(
    spec: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A table spec, JSON.")],
    parquet: Annotated[Path, typer.Argument(exists=True, help="A Parquet file, or a folder.")],
    *,
    object_store: Objects,
    server: Server = LOCAL,
    app_id: App = "millrace",
    cluster: Cluster = "default",
    operator: Operator = "apollo",
    comment: Comment = "",
    force: Force = False,
) -> None:
    """Publish a release of a table and point to it in the manifest."""
    publisher = Publisher(server, app_id, cluster, operator)
    target = Target(publisher, object_store, None if force else compile_, comment)
    console = Console(stderr=True)
    with tempfile.TemporaryDirectory(prefix="millrace-") as work, console.status("rows") as status:
        manifest, done = publish_table(
            target,
            spec_of(spec),
            parquet,
            Path(work),
            lambda rows: status.update(f"{rows:,} rows read"),
        )
    size = sum(file.bytes for file in manifest.files)
    _say(f"{manifest.table}@{manifest.release}: {manifest.rows:,} rows in {len(manifest.files)} "
         f"files, {size:,} bytes; {MANIFEST} release {done.release_key}")  # fmt: skip


@table_app.command("get")
def get_row(
    table: Annotated[str, typer.Argument(help="Name of a table.")],
    key: Annotated[str, typer.Argument(help="Of the row.")],
    *,
    server: Server = LOCAL,
    app_id: App = "millrace",
    cluster: Cluster = "default",
) -> None:
    """Print the row of a key in the release that is announced, as workers would read it."""
    current = Publisher(server, app_id, cluster).current(MANIFEST)
    text = None if current is None else current.text
    found = pointer_of(text, "features", NAMES["features"], table, objects.get)
    if found is None:
        raise ConfigUnavailable(f"{MANIFEST} of {app_id} at {server} points to no table {table!r}")
    (pointer,) = read_pointers([found])
    blob = pointer.manifest
    manifest = decode_manifest(objects.get(Ref(blob.uri, blob.sha256, blob.bytes)))
    store = DirectoryStore(blob.uri.removesuffix(f"/{blob.sha256[:2]}/{blob.sha256}"))
    partitions = manifest.partition_of(key)
    with tempfile.TemporaryDirectory(prefix="millrace-") as work:
        folder = Path(work)
        take_in(folder / "db", fetch(manifest, partitions, store, folder / "files"))
        opened = Table(manifest, partitions, folder / "db")
        (value,) = opened.values([key])
        row = None if value is None else opened.reader.row(value)
        opened.close()
    if row is None:
        raise MillraceError(f"{opened.version} has no row of the key {key!r}")
    typer.echo(json.dumps(row, ensure_ascii=False))


@model_app.command("publish")
def publish_a_model(
    directory: Annotated[
        Path,
        typer.Argument(
            exists=True,
            file_okay=False,
            help="Holds model.keras, features.json and golden.jsonl.",
        ),
    ],
    *,
    object_store: Objects,
    server: Server = LOCAL,
    app_id: App = "millrace",
    cluster: Cluster = "default",
    operator: Operator = "apollo",
    comment: Comment = "",
    force: Force = False,
) -> None:
    """Publish a version of a model and point to it in the manifest."""
    publisher = Publisher(server, app_id, cluster, operator)
    target = Target(publisher, object_store, None if force else compile_, comment)
    console = Console(stderr=True, highlight=False, markup=False)
    with tempfile.TemporaryDirectory(prefix="millrace-") as work:
        manifest, done = publish_version(target, directory, Path(work), console.print)
    size = sum(file.bytes for file in manifest.files)
    _say(f"{manifest.label}: {', '.join(manifest.engines)}, {size:,} bytes; "
         f"{MANIFEST} release {done.release_key}")  # fmt: skip


def spec_of(path: Path) -> TableSpec:
    """Read a table spec.

    Raises:
        ConfigInvalid: With all faults.
    """
    try:
        raw: Any = strict_json.parse(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigInvalid([Fault(f"{path}:{error.start}", "not UTF-8", "write UTF-8")]) from error
    return read_spec(raw, str(path))


def _say(text: str) -> None:
    Console(highlight=False, markup=False, soft_wrap=True).print(text)
