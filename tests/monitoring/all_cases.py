"""Every case there is, of the system's own alerts, its backing services' and its backups'."""

from __future__ import annotations

from tests.monitoring.backup_cases import BACKUPS
from tests.monitoring.cases import BUDGETS, SYSTEM
from tests.monitoring.host_cases import HOST
from tests.monitoring.log_cases import LOGS
from tests.monitoring.machine_cases import MACHINES
from tests.monitoring.self_cases import MONITORING
from tests.monitoring.service_cases import SERVICES

CASES = (*BUDGETS, *SYSTEM, *HOST, *MONITORING, *MACHINES, *LOGS, *SERVICES, *BACKUPS)
