"""Runs Pulumi for one stack of a checkout: environment, providers, recovery, and what is said about it."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from groundwork.faults import FaultsError
from groundwork.settings import Settings
from groundwork.stack_file import read_stack_file
from groundwork.targets import KubernetesTarget, Target
from tools.engine import namespace, providers, recover, stackfile
from tools.engine.checkout import Checkout, Mode, Project, UserError
from tools.engine.install import Engine
from tools.engine.providers import Decision


def say(text: str) -> None:
    print(text, flush=True)


@dataclass(frozen=True)
class Session:
    """One stack, the engine it runs on, and everything that was decided for this run."""

    checkout: Checkout
    engine: Engine
    project: Project
    system: str
    stack: str
    settings: Settings
    decision: Decision
    stack_file: stackfile.StackFile
    environment: Mapping[str, str]

    @property
    def target(self) -> Target:
        return self.settings.target

    @property
    def mode(self) -> Mode:
        return self.decision.mode

    @property
    def backend(self) -> recover.Backend:
        return recover.Backend(self.checkout.state(self.mode), self.project.name, self.stack)

    def pulumi(self, *arguments: str) -> list[str]:
        return [str(self.engine.pulumi), *arguments, "--stack", self.stack, "--cwd", str(self.project.folder)]

    def ops(self, command: str, *arguments: str) -> list[str]:
        system = ["--system", self.system] if self.system else []
        return [sys.executable, "-m", "ops", command, "--stack", self.stack, *system, *arguments]


def open_session(
    checkout: Checkout,
    engine: Engine,
    *,
    system: str,
    stack: str,
    requested: str,
    environment: Mapping[str, str],
    reading: Mode | None = None,
) -> Session:
    """Decides everything a run needs to know. Raises UserError for what a person must mend first.

    `reading` is the mode of a stack that is up, whose state is only read: that takes no provider.
    """
    project = checkout.project(system)
    settings = settings_of(project.stack_file(stack))
    if requested != "simulated" and not reading:
        stackfile.refuse_shared(project, stack)
    base = base_environment(checkout, engine, environment)
    users = providers.users_plugins(environment)
    decision = (
        Decision(reading)
        if reading
        else providers.decide(requested, stack, lambda: providers.look(checkout, engine.pulumi, base, users, settings))
    )
    file = stackfile.prepare(checkout, project, stack, decision.mode)
    state = checkout.state(decision.mode)
    state.mkdir(parents=True, exist_ok=True)
    base |= {"PULUMI_BACKEND_URL": f"file://{state}", "GROUNDWORK_PROVIDERS": decision.mode}
    base |= stackfile.passphrase_environment(checkout, file, environment)
    if not file.users_own:
        base.pop("PULUMI_CONFIG_PASSPHRASE", None)  # it would win over the checkout's own, which is in a file
    if decision.mode == "real":
        if settings.target.kind == "docker" and settings.machines.kind == "none":
            base |= providers.docker_host(base)
    else:
        # A package that sim/ does not serve must fail at once, not search the network for its plugin.
        base |= {"PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true"}
    return Session(checkout, engine, project, system, stack, settings, decision, file, base)


def settings_of(stack_file: Path) -> Settings:
    """What the stack asks for. UserError with all that is wrong with the file, before anything else is looked at."""
    try:
        return read_stack_file(stack_file).settings
    except FaultsError as error:
        raise UserError(str(error)) from None


def base_environment(checkout: Checkout, engine: Engine, environment: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment with this checkout's engine and Python first."""
    venv = checkout.python.parent
    path = [str(venv), *map(str, engine.path), environment.get("PATH", os.defpath)]
    made = {
        "PATH": os.pathsep.join(path),
        "VIRTUAL_ENV": str(venv.parent),
        "PULUMI_HOME": str(checkout.home),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PULUMI_AUTOMATION_API_SKIP_VERSION_CHECK": "true",
    }
    # Access to Pulumi's own service is no part of a run that keeps its state in the checkout.
    return {key: value for key, value in environment.items() if key != "PULUMI_ACCESS_TOKEN"} | made


def run(command: list[str], session: Session, extra: Mapping[str, str] | None = None) -> int:
    """Runs a command to its end and returns its exit code.

    Ctrl-C reaches the command by itself, which ends in its own time; a termination is passed on.
    """
    process = subprocess.Popen(command, env={**session.environment, **(extra or {})}, cwd=session.checkout.root)
    previous = {
        signal.SIGINT: signal.signal(signal.SIGINT, lambda *_: None),
        signal.SIGTERM: signal.signal(signal.SIGTERM, lambda *_: process.terminate()),
    }
    try:
        code = process.wait()
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
    return code if code >= 0 else 128 - code


def captured(session: Session, arguments: list[str], text: str) -> str:
    """The standard output of a short pulumi command. Raises UserError with its words where it fails."""
    done = subprocess.run(
        session.pulumi(*arguments),
        env=dict(session.environment),
        input=text,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise UserError(f"pulumi {' '.join(arguments)} failed:\n{done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def make_stack(session: Session) -> None:
    """Makes the stack in the back end unless its file is there: looking spares a process in every run."""
    if session.backend.checkpoint.exists():
        return
    # In the copy's own folder, since `stack init` writes a salt into the stack file it finds.
    command = [str(session.engine.pulumi), "stack", "init", session.stack, "--no-select", "--non-interactive"]
    done = subprocess.run(
        [*command, "--cwd", str(session.stack_file.folder)],
        env=dict(session.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode and not session.backend.checkpoint.exists():
        raise UserError(f"The stack {session.stack} could not be made:\n{done.stderr.strip()}")


@contextmanager
def alone(session: Session) -> Iterator[None]:
    """Keeps a second run of the same stack in this checkout out until this one has ended, however it ends."""
    file = session.checkout.state(session.mode) / f"{session.project.name}.{session.stack}.flock"
    with file.open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.seek(0)
            raise UserError(
                f"Another run of {session.project.name}/{session.stack} is under way here "
                f"(process {lock.read()}): wait for it, or end it with Ctrl-C there."
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield


def on_docker(session: Session) -> bool:
    """Whether this run makes containers on the one Docker engine that it is given. What a cluster runs is in the state
    or in its namespace, and machines have engines of their own."""
    return session.mode == "real" and session.target.kind == "docker" and session.settings.machines.kind == "none"


def clear_leftovers(session: Session) -> None:
    recover.recover(
        session.backend,
        docker_environment=session.environment if on_docker(session) else None,
        pulumi=lambda arguments, text: captured(session, arguments, text),
        say=say,
    )


@contextmanager
def attached(session: Session) -> Iterator[dict[str, str]]:
    """What to add to the environment so that the engine finds the providers of this run."""
    if session.mode == "real":
        yield {}
        return
    import sim

    with sim.serve() as debug_providers:
        yield {"PULUMI_DEBUG_PROVIDERS": debug_providers}


def announce(session: Session) -> None:
    """The first words of a simulated run; `conclude` has the last."""
    if session.mode == "real":
        return
    missing = session.decision.missing
    reason = "because real ones need what is missing here:" if missing else "as asked (PROVIDERS=simulated)"
    say(f"SIMULATED: the real Pulumi engine on simulated providers, {reason}")
    for entry in missing:
        say(f"  - {entry}")
    say("Nothing will be started on this machine.")


def conclude(session: Session) -> None:
    if session.mode == "real":
        return
    missing = "; ".join(entry.what for entry in session.decision.missing)
    need = f" For real it needs: {missing}." if missing else " PROVIDERS=real runs it for real."
    say(f"SIMULATED: nothing was started, nothing listens, every value above is made up.{need}")


def up(session: Session, arguments: list[str]) -> int:
    # The table that follows says what the outputs say.
    flags = [*_config_file(session), *policy_pack(session.checkout), "--yes", "--suppress-outputs"]
    if session.stack == providers.FALLBACK_STACK:
        # A rule about the whole stack speaks at the end of a run: elsewhere that must be before anything is made.
        flags.append("--skip-preview")
    code = _operate(session, "up", [*flags, *arguments])
    if code == 0:
        code = run(session.ops("status"), session)
    conclude(session)
    return code


def preview(session: Session, arguments: list[str]) -> int:
    flags = [*_config_file(session), *policy_pack(session.checkout), "--suppress-outputs"]
    code = _operate(session, "preview", [*flags, *arguments])
    conclude(session)
    return code


def down(session: Session, arguments: list[str]) -> int:
    if not recover.read_checkpoint(session.backend.checkpoint).get("resources"):
        say(f"{session.project.name}/{session.stack} is not up: nothing to do.")
        return 0
    deployment = recover.read_checkpoint(session.backend.checkpoint)
    arguments = [*_config_file(session), "--yes", "--skip-preview", *around_protected(session, deployment), *arguments]
    kept = recover.retained_ids(deployment)
    if on_docker(session):
        # They would hold the networks that go now.
        for name in recover.end_tunnels(session.project.name, session.stack, session.environment):
            say(f"Ended the tunnel {name}.")
    code = _operate(session, "destroy", arguments)
    if code == 0 and session.mode == "real" and session.settings.machines.kind == "none":
        code = report_left(session, kept)
    conclude(session)
    return code


def around_protected(session: Session, deployment: Mapping[str, Any]) -> list[str]:
    """What `destroy` is told, so that backups stay and the rest goes. Raises UserError where machines are protected:
    Pulumi finds out in the middle of it, when the containers are gone already."""
    held = recover.protected_names(deployment, retained=False)
    if held:
        raise UserError(
            f"{session.project.name}/{session.stack} has {len(held)} protected resources, such as {held[0]}; nothing "
            "was changed.\nTo end them and their data, say groundwork:machines.protect: false, run make up, then this."
        )
    backups = recover.protected_names(deployment, retained=True)
    if not backups:
        return []
    say(f"Backups stay, and with them {len(backups)} resources that keep them, such as {backups[0]}.")
    return ["--exclude-protected"]


def report_left(session: Session, kept: frozenset[str]) -> int:
    """After `down` nothing with this stack's labels may be left but data that its settings keep.

    Names what is there, and returns 1 when it should not be.
    """
    if isinstance(session.target, KubernetesTarget):
        return namespace.report(session.target, instance_of(session), kept, session.environment, say)
    labelled = recover.labelled_objects(session.project.name, session.stack, session.environment)
    for entry in labelled:
        if entry.id in kept:
            say(f"Kept with its data (keep_data): docker {entry.kind} {entry.name}")
    left = [entry for entry in labelled if entry.id not in kept]
    if not left:
        say("Nothing else of this stack is left." if kept else "Nothing of this stack is left on the Docker engine.")
        return 0
    name = f"{session.project.name}/{session.stack}"
    say(f"Left on the Docker engine with the labels of {name}, but in no state:")
    for entry in left:
        say(f"  docker {entry.kind} rm {entry.name}")
    return 1


def instance_of(session: Session) -> str:
    """The label by which a cluster knows the stack's objects."""
    return f"{session.project.name}-{session.stack}"


def _operate(session: Session, operation: str, arguments: list[str]) -> int:
    """Recovers from a killed run, then runs one Pulumi operation with its providers."""
    announce(session)
    with alone(session), ExitStack() as until_ended:
        make_stack(session)
        clear_leftovers(session)
        if operation != "destroy":
            # Images are built or resolved before the program, whose plan sees digests as plain text; either command
            # says at once, and in one message, what is wrong with the stack file.
            code = run(session.ops("lock" if session.mode == "real" else "check"), session)
            if code:
                return code
            if isinstance(session.target, KubernetesTarget) and session.mode == "real":
                namespace.refuse_foreign(session.target, instance_of(session), session.environment)
        extra = until_ended.enter_context(attached(session))
        if operation != "preview":
            recover.mark_running(session.backend)
        code = run([*session.pulumi(operation), *arguments], session, extra)
        recover.mark_ended(session.backend)
        return code


def _config_file(session: Session) -> list[str]:
    return ["--config-file", str(session.stack_file.file)]


def policy_pack(checkout: Checkout) -> list[str]:
    """The flags that hold a run to the rules of policy/, with the pack's configuration where there is one."""
    config = checkout.policy / "config.json"
    return ["--policy-pack", str(checkout.policy), *(["--policy-pack-config", str(config)] if config.exists() else [])]


def passthrough(session: Session, arguments: list[str]) -> int:
    """Any other pulumi command on this stack, such as `stack export` or `refresh`, with its providers."""
    if not arguments:
        raise UserError('make pulumi needs a command: ARGS="stack export"')
    make_stack(session)
    with attached(session) as extra:
        return run(session.pulumi(*arguments), session, extra)


def configure(
    checkout: Checkout,
    engine: Engine,
    project: Project,
    stack: str,
    environment: Mapping[str, str],
    arguments: list[str],
) -> int:
    """`pulumi config …` on a tracked stack file, which takes no provider and no state: only the user's passphrase."""
    own = stackfile.read(project.stack_file(stack))
    if "secretsprovider" not in own and not any(environment.get(name) for name in stackfile.PASSPHRASES):
        raise UserError(
            "Secrets of a stack file are encrypted with a passphrase of your own: set PULUMI_CONFIG_PASSPHRASE_FILE "
            "to a file that holds it, and keep that file."
        )
    state = checkout.made / "state" / "config"
    state.mkdir(parents=True, exist_ok=True)
    base = base_environment(checkout, engine, environment) | {"PULUMI_BACKEND_URL": f"file://{state}"}
    pulumi, place = str(engine.pulumi), ["--stack", stack, "--cwd", str(project.folder)]
    if not (state / ".pulumi/stacks" / project.name / f"{stack}.json").exists():
        made = [pulumi, "stack", "init", stack, "--no-select", "--non-interactive", "--cwd", str(project.folder)]
        done = subprocess.run(made, env=base, capture_output=True, text=True, check=False)
        if done.returncode:
            raise UserError(done.stderr.strip())
    return subprocess.run([pulumi, *arguments, *place], env=base, check=False).returncode
