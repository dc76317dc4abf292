from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from stack import Stack, flink, flink_home, kafka
from stack.settings import LOCAL, ROOT, StackSettings
from stack.shipping import PACKAGES, stage


def compose() -> dict[str, dict[str, dict[str, dict[str, str]]]]:
    """The compose file."""
    parsed: dict[str, dict[str, dict[str, dict[str, str]]]] = YAML(typ="safe").load(
        ROOT / "docker-compose.yml"
    )
    return parsed


@pytest.fixture(scope="module")
def home() -> Path:
    """The built distribution."""
    return flink_home.build(LOCAL / "flink", LOCAL / "jars" / "connector")


def test_the_broker_listens_on_the_loopback_interface_only(tmp_path: Path) -> None:
    """Both listeners, at the ports asked for."""
    settings = StackSettings(run_dir=tmp_path, kafka_port=1111, kafka_controller_port=2222)
    properties = kafka.server_properties(settings)
    assert properties["listeners"] == "PLAINTEXT://127.0.0.1:1111,CONTROLLER://127.0.0.1:2222"
    assert properties["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1111"
    assert properties["log.dirs"].startswith(str(tmp_path))


def test_cluster_ids_are_what_kafka_accepts() -> None:
    """22 characters of URL-safe base 64, never with a leading dash."""
    ids = [kafka.new_cluster_id() for _ in range(200)]
    assert {len(each) for each in ids} == {22}
    assert not any(each.startswith("-") for each in ids)
    assert len(set(ids)) == len(ids)


def test_flink_reads_back_what_was_written(tmp_path: Path, home: Path) -> None:
    """The file is YAML with every setting as one flat key."""
    settings = StackSettings(run_dir=tmp_path, flink_rest_port=3333)
    flink.prepare(settings, home)
    written = YAML(typ="safe").load(flink.conf_dir(settings) / "config.yaml")
    assert {key: _text(value) for key, value in written.items()} == flink.config(settings, home)
    assert written["rest.port"] == 3333
    assert written["python.executable"] == sys.executable
    assert written["execution.checkpointing.dir"].startswith(f"file://{tmp_path}")


def test_the_class_path_ends_with_the_distribution_and_has_python_and_kafka(home: Path) -> None:
    """Flink's own order; thread mode needs the Python jar in it."""
    jars = [Path(each).name for each in flink_home.classpath(home).split(":")]
    assert jars[-1].startswith("flink-dist-")
    assert any(name.startswith("flink-python-") for name in jars)
    assert any(name.startswith("flink-sql-connector-kafka-") for name in jars)


def test_jars_are_linked_into_real_directories(home: Path) -> None:
    """Flink's scripts look with 'find', which does not follow a linked directory."""
    for name in ("bin", "conf", "lib", "opt", "plugins"):
        assert (home / name).is_dir()
        assert not (home / name).is_symlink()


def test_building_again_changes_nothing(home: Path) -> None:
    """A running cluster reads from it."""
    inode = (home / "lib").stat().st_ino
    flink_home.build(home, LOCAL / "jars" / "connector")
    assert (home / "lib").stat().st_ino == inode


def test_the_environment_leads_to_our_python_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the caller has set for other work does not get in."""
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    monkeypatch.setenv("FLINK_LIB_DIR", "/elsewhere")
    environment = Stack(StackSettings(run_dir=tmp_path)).environment()
    assert environment["PATH"].split(":")[0] == str(Path(sys.executable).parent)
    assert environment["PYFLINK_CLIENT_EXECUTABLE"] == sys.executable
    assert "/elsewhere" not in environment.values()


def test_the_staged_folder_imports_without_the_repository(tmp_path: Path) -> None:
    """It holds all packages that workers import, and no compiled leftovers."""
    folder = stage(tmp_path / "ship")
    assert sorted(each.name for each in folder.iterdir()) == sorted(PACKAGES)
    assert not list(folder.rglob("__pycache__"))
    code = "import udfs.errors; print(udfs.errors.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith(str(folder))


def test_containers_run_the_broker_with_the_same_limits() -> None:
    """KAFKA_MESSAGE_MAX_BYTES and so on, as the image spells them."""
    environment = compose()["services"]["kafka"]["environment"]
    for key, value in kafka.broker_limits().items():
        assert environment["KAFKA_" + key.replace(".", "_").upper()] == value
    assert environment["KAFKA_HEAP_OPTS"] == " ".join(kafka.HEAP)


def test_containers_run_flink_with_the_same_settings(tmp_path: Path, home: Path) -> None:
    """What jobs rely on, the memory, and what Java 17 must open."""
    parsed = YAML(typ="safe").load(ROOT / "docker" / "flink-config.yaml")
    container = {key: _text(value) for key, value in parsed.items()}
    local = flink.config(StackSettings(run_dir=tmp_path), home)
    same = [
        *flink.cluster_settings(),
        "env.java.opts.all",
        "rest.port",
        *(key for key in local if key.startswith("taskmanager.memory.")),
    ]
    assert {key: container.get(key) for key in same} == {key: local[key] for key in same}


def test_containers_are_reached_at_the_same_ports_of_the_loopback_interface_only() -> None:
    """Nothing is open to the network."""
    settings = StackSettings()
    published = {
        port for service in compose()["services"].values() for port in service.get("ports", [])
    }
    assert published == {
        f"127.0.0.1:{port}:{port}"
        for port in (settings.kafka_port, settings.flink_rest_port, settings.config_port)
    }


def test_containers_run_the_broker_that_the_jars_are_of() -> None:
    """One version of Kafka, in the compose file and in Maven's."""
    image = str(compose()["services"]["kafka"]["image"])
    assert (
        f"<version>{image.removeprefix('apache/kafka:')}</version>"
        in (ROOT / "stack/jars/kafka/pom.xml").read_text()
    )


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
