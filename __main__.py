"""One stack of one system, from settings to outputs. docs/outputs.md says what the outputs promise."""

import os
from pathlib import Path

import pulumi

from components.environment import Environment, EnvironmentArgs
from groundwork.faults import FaultsError
from groundwork.images import read_lock
from groundwork.plan import plan
from groundwork.stack_file import read_engine_values
from groundwork.system import load_system

ROOT = Path(__file__).parent
project, stack = pulumi.get_project(), pulumi.get_stack()
simulated = os.environ.get("GROUNDWORK_PROVIDERS") == "simulated"

try:
    configuration = read_engine_values(os.environ.get("PULUMI_CONFIG", "{}"), stack)
    system = load_system(ROOT, configuration.settings.system or project)
    lock = read_lock(ROOT, missing="mark", local=False) if simulated else read_lock(ROOT, missing="refuse")
    deployment = plan(system, configuration, lock, project=project, stack=stack)
    arguments = EnvironmentArgs(
        settings=configuration.settings, deployment=deployment, fingerprints=configuration.secrets, simulated=simulated
    )
    environment = Environment(system.name, arguments)
except FaultsError as error:
    raise pulumi.RunError(str(error)) from None

pulumi.export("system", system.name)
pulumi.export("simulated", simulated)
pulumi.export("urls", dict(deployment.urls))
pulumi.export("images", {workload.name: workload.image.digest for workload in deployment.workloads})
pulumi.export("references", {workload.name: workload.image.reference for workload in deployment.workloads})
pulumi.export("releases", {workload.name: workload.release for workload in deployment.workloads})
pulumi.export("containers", environment.containers)
pulumi.export("machines", environment.machines)
pulumi.export("backups", environment.backups)
pulumi.export("credentials", environment.credentials)
