"""How the gateway is shipped: the folder that the image is made of, run as the image is, and what its files say."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from busbar_fast import __version__
from tests.house.source import ROOT
from tests.system.gateways import closed_port
from tests.system.programs import LIMIT_S, Program, chat

DOCKER = ROOT / "docker"
NOBODY = 65532
# Who the program runs as: like the image where we may, and where everybody can reach the Python that runs these tests.
IS_NOBODY = os.getuid() == 0 and all(
    folder.stat().st_mode & 0o001 for folder in (Path(sys.base_prefix), *Path(sys.base_prefix).parents)
)
WHO: dict[str, Any] = {"user": NOBODY, "group": NOBODY, "extra_groups": []} if IS_NOBODY else {}


def text_of(name: str) -> str:
    """Return what a file of the folder says."""
    return (DOCKER / name).read_text(encoding="utf-8")


def instructions() -> list[tuple[str, str]]:
    """Return the instructions of the last stage of the image, in order."""
    joined = text_of("Dockerfile").replace("\\\n", " ")
    lines = [line.partition(" ") for line in joined.splitlines() if line and not line.startswith("#")]
    found = [(word, rest.strip()) for word, _, rest in lines]
    return found[max(at for at, (word, _) in enumerate(found) if word == "FROM") :]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Put the folder together by the steps of the image, and let nobody write to it."""
    root = tmp_path_factory.mktemp("image")
    made = subprocess.run(
        [DOCKER / "assemble", root, sys.executable], capture_output=True, text=True, check=False, timeout=170
    )
    assert made.returncode == 0, made.stderr
    assert re.search(r"^[0-9]+ KiB in opt/busbar", made.stdout, re.MULTILINE)
    for folder in (root, *root.parents):
        if folder.stat().st_uid == os.getuid():
            folder.chmod(folder.stat().st_mode | 0o055)
        if folder == Path("/tmp"):  # noqa: S108  the folder above belongs to the system
            break
    if not IS_NOBODY and os.getuid() == 0:  # a snapshot counts for its owner alone
        for path in (root / "var/cache/busbar", *(root / "var/cache/busbar").iterdir()):
            os.chown(path, 0, 0)
    for path in root.rglob("*"):
        if not path.is_symlink() and "cache" not in path.parts:
            path.chmod(path.stat().st_mode & ~0o222)
    yield root
    for path in root.rglob("*"):
        if path.is_dir():
            path.chmod(0o755)
    shutil.rmtree(root)


class Container:
    """The folder's program, as the image starts it: as nobody, with nothing to write to."""

    def __init__(self, root: Path, work: Path) -> None:
        self.root = root
        self.log_file = work / "log"
        self.environ = {
            "BUSBAR_CONFIG": f"{root}/etc/busbar/config.yaml",
            "BUSBAR_PROVIDERS": f"{root}/etc/busbar/providers.yaml",
            "BUSBAR_CACHE_DIR": f"{root}/var/cache/busbar",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def start(self, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start it."""
        with self.log_file.open("wb") as log:
            return subprocess.Popen(
                [self.root / "opt/busbar/bin/busbar-fast", *arguments],
                env=self.environ | environ,
                cwd="/",
                stdout=log,
                stderr=log,
                **WHO,
            )


@pytest.fixture
def container(image: Path, tmp_path: Path) -> Container:
    """Return what starts the program of the folder."""
    return Container(image, tmp_path)


# Prints the port that the snapshot is about, if it counts for who runs this.
FIND_SNAPSHOT = """
import posix, sys
sys.path.insert(0, sys.argv[1])
from busbar_fast import boot
snapshot = boot.load(boot.snapshot_place(*boot.find_config([], posix.environ), posix.environ))
print(snapshot is not None and snapshot.porch.port)
"""


def config_at(port: int, tmp_path: Path) -> str:
    """Write the image's own configuration with another port; return where it is."""
    config = tmp_path / "config.yaml"
    config.write_text(text_of("config.yaml").replace("0.0.0.0:8080", f"127.0.0.1:{port}"), encoding="utf-8")
    config.chmod(0o444)
    tmp_path.chmod(0o755)
    tmp_path.parent.chmod(0o755)
    return str(config)


def stamps(root: Path) -> dict[Path, int]:
    """Return when everything was changed that the image has, but for what it may keep of a configuration."""
    return {path: path.lstat().st_mtime_ns for name in ("opt", "etc") for path in (root / name).rglob("*")}


async def test_folder_runs_as_the_image_would(container: Container, tmp_path: Path) -> None:
    """Operations §13, case 63: any uid, nothing written; probes, a call, and an end with 0."""
    before = stamps(container.root)
    port = closed_port()
    child = container.start(BUSBAR_CONFIG=config_at(port, tmp_path))
    program = Program(child, container.log_file)
    try:
        await program.is_up()
        assert await program.get("/livez") == (200, b"ok")
        assert await program.get("/readyz") == (200, b"ok")
        assert await program.get("/healthz") == (200, b"ok")
        assert (await program.ask(chat(b'{"model":"nobody"}'))).status == 404
        checked = container.start("--healthcheck", BUSBAR_CONFIG=config_at(port, tmp_path))
        assert checked.wait(LIMIT_S) == 0
        child.terminate()
        assert await program.ends() == 0
        assert stamps(container.root) == before
    finally:
        child.kill()
        child.wait()
        for client in program.clients:
            client.close()


def test_snapshot_of_the_image_is_used(container: Container, image: Path) -> None:
    """Design §5, operations §12: the image is built warm, so that its own configuration needs no YAML at the start."""
    traced = subprocess.run(
        [
            image / "opt/busbar/bin/python",
            "-I",
            "-S",
            "-c",
            FIND_SNAPSHOT,
            str(next((image / "opt/busbar/lib").iterdir()) / "site-packages"),
        ],
        env=container.environ,
        capture_output=True,
        text=True,
        check=False,
        timeout=LIMIT_S,
        **WHO,
    )
    assert (traced.stdout, traced.stderr) == ("8080\n", "")


def test_every_module_has_its_bytecode(image: Path) -> None:
    """Operations §12 "read-only root": nothing is left to be compiled, and what is there is trusted as it is."""
    packages = next((image / "opt/busbar/lib").iterdir()) / "site-packages"
    ours = list((packages / "busbar_fast").rglob("*.py"))
    assert len(ours) > 300
    tag = sys.implementation.cache_tag
    for path in ours:
        raw = (path.parent / "__pycache__" / f"{path.stem}.{tag}.pyc").read_bytes()
        assert int.from_bytes(raw[4:8], "little") == 0b01  # by hash, not to be checked
    assert not list(packages.rglob("*.pyx"))


def test_image_is_what_is_demanded() -> None:
    """Operations §12 "image": user, port, exec form, presets, and a last stage that installs nothing."""
    said = instructions()
    assert [word for word, _ in said].count("RUN") == 0
    facts = dict(said)
    assert facts["FROM"].startswith("gcr.io/distroless/")
    assert (facts["USER"], facts["EXPOSE"]) == (f"{NOBODY}:{NOBODY}", "8080")
    main = "/opt/busbar/lib/python3.11/site-packages/busbar_fast/__main__.py"
    assert yaml.safe_load(facts["ENTRYPOINT"]) == ["/opt/busbar/bin/python", "-I", "-S", main]
    check = facts["HEALTHCHECK"].partition(" CMD ")[2]
    assert yaml.safe_load(check) == ["/opt/busbar/bin/python", "-I", "-S", main, "--healthcheck"]
    presets = dict(pair.split("=") for pair in facts["ENV"].split())
    assert presets == {
        "BUSBAR_CONFIG": "/etc/busbar/config.yaml",
        "BUSBAR_PROVIDERS": "/etc/busbar/providers.yaml",
        "BUSBAR_CACHE_DIR": "/var/cache/busbar",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    assert "RUN docker/assemble --compiled / " in text_of("Dockerfile")


def test_shipped_configurations_start(tmp_path: Path, container: Container) -> None:
    """Operations §12 "contents": what image, compose and Kubernetes start with is valid, and waits to be noticed."""
    (pods,) = [doc for doc in yaml.safe_load_all(text_of("kubernetes.yaml")) if doc["kind"] == "ConfigMap"]
    tmp_path.chmod(0o755)
    for number, text in enumerate((text_of("config.yaml"), pods["data"]["config.yaml"])):
        file = tmp_path / f"{number}.yaml"
        file.write_text(text, encoding="utf-8")
        assert container.start("--validate", "--strict", "--config", str(file)).wait(LIMIT_S) == 0
        assert yaml.safe_load(text)["shutdown"]["readiness_delay_secs"] == 5


def test_pods_are_what_is_demanded() -> None:
    """Operations §12 "probes", "security context", "termination"."""
    (deployment,) = [doc for doc in yaml.safe_load_all(text_of("kubernetes.yaml")) if doc["kind"] == "Deployment"]
    pod = deployment["spec"]["template"]["spec"]
    (gateway,) = pod["containers"]
    assert gateway["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert gateway["readinessProbe"]["httpGet"]["path"] == "/readyz"
    startup = gateway["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] <= 30
    assert pod["terminationGracePeriodSeconds"] == 330
    assert pod["securityContext"] == {
        "runAsNonRoot": True,
        "runAsUser": NOBODY,
        "runAsGroup": NOBODY,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    assert gateway["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert gateway["image"] == f"busbar-fast:{__version__}"
    # What is mounted as one file does not change with its ConfigMap.
    (config,) = [mount for mount in gateway["volumeMounts"] if mount["name"] == "config"]
    assert config == {"name": "config", "mountPath": "/config", "readOnly": True}
    assert gateway["env"] == [{"name": "BUSBAR_CONFIG", "value": "/config/config.yaml"}]
    # It is noticed as not ready before it stops accepting.
    ready = gateway["readinessProbe"]
    assert ready["periodSeconds"] * ready["failureThreshold"] + ready["timeoutSeconds"] <= 5


def test_compose_is_what_is_demanded() -> None:
    """Operations §12: two gateways that nobody reaches but the balancer, which knows connections only."""
    services = yaml.safe_load(text_of("compose.yaml"))["services"]
    balancer = services.pop("balancer")
    assert sorted(services) == ["gateway-one", "gateway-two"]
    for service in services.values():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert "ports" not in service
    assert balancer["ports"] == ["8080:8080"]
    graces = {service["stop_grace_period"] for service in (balancer, *services.values())}
    assert graces == {"330s"}
    assert re.search(
        r"^ *default-server .* resolvers network init-addr last,libc,none$", text_of("haproxy.cfg"), re.MULTILINE
    )
    assert all(f"{name}:8080" in text_of("haproxy.cfg") for name in services)


# Stand for Docker and for curl: they note what they are told; curl fails for a container whose machine is in `SICK`.
DOCKER_STUB = """#!/bin/sh
echo "docker $*" >>"$NOTES"
case "$1 $2" in
"run --detach") echo "box-$4" | tr -d / ;;
"port "*) echo "$2:8080" ;;
esac
"""
CURL_STUB = """#!/bin/sh
for last; do :; done
echo "curl $last" >>"$NOTES"
case "$last" in *"$SICK"*) exit 22 ;; esac
"""


def published(folder: Path, sick: str) -> tuple[int, list[str]]:
    """Publish with stubs; return the exit code and what they were told."""
    for name, text in (("docker", DOCKER_STUB), ("curl", CURL_STUB)):
        (folder / name).write_text(text, encoding="utf-8")
        (folder / name).chmod(0o755)
    notes = folder / "notes"
    environ = {"PATH": f"{folder}:{os.environ['PATH']}", "NOTES": str(notes), "SICK": sick, "BUSBAR_PUBLISH_TRIES": "1"}
    done = subprocess.run([DOCKER / "publish", "r.example/b:1"], env=environ, check=False, timeout=LIMIT_S)
    return done.returncode, notes.read_text(encoding="utf-8").splitlines()


def test_image_is_published_when_both_have_answered(tmp_path: Path) -> None:
    """Operations §12 "image", "contents": amd64 and arm64 are built, started as they are to run, asked, then pushed."""
    code, told = published(tmp_path, "nobody")
    assert code == 0
    asked = [at for at, line in enumerate(told) if line.startswith("curl ") and line.endswith("/healthz")]
    pushed = [at for at, line in enumerate(told) if line.startswith(("docker push", "docker buildx imagetools"))]
    assert (len(asked), len(pushed)) == (2, 3)
    assert max(asked) < min(pushed)
    assert told[-1] == "docker buildx imagetools create --tag r.example/b:1 r.example/b:1-amd64 r.example/b:1-arm64"
    for machine in ("amd64", "arm64"):
        assert any(f"buildx build --platform linux/{machine} --load" in line for line in told)
        assert any(line.startswith("docker run") and "--read-only --cap-drop ALL" in line for line in told)
        assert f"docker rm --force box-linux{machine}" in told


@pytest.mark.parametrize("sick", ["amd64", "arm64"])
def test_image_that_does_not_answer_is_not_published(tmp_path: Path, sick: str) -> None:
    """Operations §12 "contents": one that does not answer `/healthz` keeps both back, and leaves no container."""
    code, told = published(tmp_path, sick)
    assert code == 1
    assert not any("push" in line or "imagetools" in line for line in told)
    assert f"docker logs box-linux{sick}" in told
    assert told[-1] == f"docker rm --force box-linux{sick}"
