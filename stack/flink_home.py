"""A Flink distribution of our own, made from the one inside the apache-flink wheel.

``bin/`` and ``conf/`` are copied, jars are linked into real directories: the scripts resolve a
linked ``bin/`` back into the wheel, and ``find`` does not follow a linked ``opt/``.
"""

from __future__ import annotations

import hashlib
import importlib.util
import shutil
import sys
from pathlib import Path

from ruamel.yaml import YAML

from udfs.errors import StackError

STAMP = ".built"


def wheel_dir() -> Path:
    """Where the apache-flink wheel is installed.

    Raises:
        StackError: It is not installed in this environment.
    """
    spec = importlib.util.find_spec("pyflink")
    if spec is None or spec.origin is None:
        raise StackError("flink: apache-flink is not installed here; run 'make setup' first")
    return Path(spec.origin).parent


def build(home: Path, connectors: Path) -> Path:
    """Make the distribution, or keep the one that is there if nothing has changed.

    Args:
        home: Where it goes.
        connectors: Directory of further jars for ``lib/``.

    Returns:
        ``home``.

    Raises:
        StackError: The wheel or the connector jars are missing.
    """
    wheel = wheel_dir()
    extra = sorted(connectors.glob("*.jar"))
    if not extra:
        raise StackError(f"flink: no connector jar in {connectors}; run 'make setup' first")
    # Thread mode loads pemja once per process. With flink-python in lib/ (and its packages
    # parent-first) every job shares that copy; a second job in a TaskManager fails without it.
    jars = {
        "lib": [*sorted((wheel / "lib").glob("*.jar")), *_python_jars(wheel), *extra],
        "opt": sorted((wheel / "opt").glob("*.jar")),
    }
    stamp = hashlib.sha256(repr((str(wheel), jars)).encode()).hexdigest()
    if (home / STAMP).is_file() and (home / STAMP).read_text() == stamp:
        return home
    scratch = home.with_name(home.name + ".new")
    shutil.rmtree(scratch, ignore_errors=True)
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(wheel / "bin", scratch / "bin")
    for script in (scratch / "bin").glob("*.sh"):
        script.chmod(0o755)
    (scratch / "bin" / "flink").chmod(0o755)
    shutil.copytree(wheel / "conf", scratch / "conf")
    (scratch / "plugins").mkdir()  # no metric reporters, no file systems: all off
    (scratch / "log").mkdir()
    for name, files in jars.items():
        (scratch / name).mkdir()
        for jar in files:
            (scratch / name / jar.name).symlink_to(jar)
    (scratch / STAMP).write_text(stamp)
    scratch.rename(home)
    return home


def classpath(home: Path) -> str:
    """The class path of a Flink process, in the order of Flink's own scripts."""
    jars = sorted((home / "lib").glob("*.jar"), key=lambda jar: ("flink-dist" in jar.name, jar))
    return ":".join(str(jar) for jar in jars)


def java_options(home: Path) -> str:
    """What the wheel's own configuration opens for Java 17, on one line."""
    shipped = YAML(typ="safe").load(home / "conf" / "config.yaml")
    return str(shipped["env"]["java"]["opts"]["all"])


def _python_jars(wheel: Path) -> list[Path]:
    return sorted((wheel / "opt").glob("flink-python-*.jar"))


if __name__ == "__main__":  # docker/flink.Dockerfile: python -m stack.flink_home HOME CONNECTORS
    build(Path(sys.argv[1]), Path(sys.argv[2]))
