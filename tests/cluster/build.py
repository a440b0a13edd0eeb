"""The parts of a cluster, built from the Go module registry by the go.mod of this folder and of `kwok/`, once per
go.sum: `python -m tests.cluster.build`. They lie in `.groundwork/cluster`, put there in one step."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.engine.checkout import Checkout, UserError
from tools.engine.install import Say, alone, go_toolchain, remove_own_caches, run_with_progress

HERE = Path(__file__).parent
CHECKOUT = Checkout(HERE.parents[1])
FOLDER = CHECKOUT.made / "cluster"
"""Programs, the definitions of the Gateway API below `crds`, and a mark of what all was made of."""
PACKAGES = {
    HERE: (
        "go.etcd.io/etcd/server/v3",
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-scheduler",
    ),
    HERE / "kwok": ("sigs.k8s.io/kwok/cmd/kwok",),
}
"""By the folder of their go.mod."""
GATEWAY_API = "sigs.k8s.io/gateway-api"
VERSION_VARIABLES = "k8s.io/component-base/version"


def wanted() -> str:
    return "".join((module / "go.sum").read_text() for module in PACKAGES)


def is_built() -> bool:
    mark = FOLDER / "go.sum"
    return mark.is_file() and mark.read_text() == wanted()


def ensure(say: Say) -> Path:
    """The folder with everything, made first if need be. UserError where it can't be."""
    if is_built():
        return FOLDER
    with alone(CHECKOUT, "cluster", "building the cluster", say):
        if not is_built():  # another process may have built it while this one waited
            _build(say)
    return FOLDER


def _build(say: Say) -> None:
    go, environment = go_toolchain(CHECKOUT, say)
    version = kubernetes_version()
    say(f"Building Kubernetes {version}, etcd and kwok from the Go module registry with {go}.")
    say("10 to 20 minutes on two cores; it happens once.")
    major, minor, _ = version.removeprefix("v").split(".")
    said = {"gitVersion": version, "gitMajor": major, "gitMinor": minor}
    flags = "-s -w " + " ".join(f"-X {VERSION_VARIABLES}.{name}={value}" for name, value in said.items())
    with tempfile.TemporaryDirectory(dir=CHECKOUT.made) as temporary:
        folder = Path(temporary, "cluster")
        folder.mkdir()
        for module, packages in PACKAGES.items():
            command = [go, "build", "-v", "-trimpath", f"-ldflags={flags}", "-o", f"{folder}/", *packages]
            run_with_progress(command, module, environment, say, "Building the cluster failed.")
        # Go names a program after the last part of its package, versions excepted.
        (folder / "server").rename(folder / "etcd")
        _copy_definitions(go, environment, folder / "crds")
        (folder / "go.sum").write_text(wanted())
        shutil.rmtree(FOLDER, ignore_errors=True)
        folder.rename(FOLDER)
    remove_own_caches(CHECKOUT)
    say("The cluster is built.")


def _copy_definitions(go: str, environment: dict[str, str], target: Path) -> None:
    """Its kinds come with the module; nothing of it is compiled, so nothing has fetched it yet."""
    for command in (["mod", "download", GATEWAY_API], ["list", "-m", "-f", "{{.Dir}}", GATEWAY_API]):
        done = subprocess.run([go, *command], cwd=HERE, env=environment, capture_output=True, text=True, timeout=300)
        if done.returncode:
            raise UserError(f"Getting the Gateway API failed:\n{done.stderr}")
    # Files of the module cache are read-only; copies of their content are not.
    target.mkdir()
    for file in sorted(Path(done.stdout.strip(), "config/crd/standard").glob("gateway*.yaml")):
        (target / file.name).write_text(file.read_text())


def kubernetes_version() -> str:
    found = re.search(r"^\s*k8s\.io/kubernetes (v\S+)", (HERE / "go.mod").read_text(), re.MULTILINE)
    assert found, "go.mod requires no Kubernetes"
    return found.group(1)


if __name__ == "__main__":
    try:
        ensure(lambda text: print(text, flush=True))
    except UserError as error:
        sys.exit(str(error))
