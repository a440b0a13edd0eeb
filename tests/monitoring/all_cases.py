"""Every case there is, of the system's own alerts, its backing services' and its backups'."""

from __future__ import annotations

from tests.monitoring.backup_cases import BACKUPS
from tests.monitoring.cases import SYSTEM_CASES
from tests.monitoring.log_cases import LOGS
from tests.monitoring.machine_cases import MACHINES
from tests.monitoring.service_cases import SERVICES

CASES = (*SYSTEM_CASES, *MACHINES, *LOGS, *SERVICES, *BACKUPS)
