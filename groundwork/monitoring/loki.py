"""The store of logs: Loki as one process, with everything on one volume and a bound on what it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..workload import FILES
from ..yaml_text import as_yaml
from .shipper import ENTRY_KIB, LABELS

LOKI_PORT, GRPC_PORT = 3100, 9095
DATA, SCRATCH = "/loki", "/tmp"
"""Where its image has its volume, open to its own user; and what may be lost."""
RULES = f"{FILES}/rules"
TENANT = "fake"
"""Loki's own name for the only one, where it asks nobody who they are."""
MIB = 1024**2
SLACK_DAYS = 2.0
"""Of what may be stored, so many days' worth is set aside: for what waits to be deleted, the index, the log of what is
not in chunks yet, and a burst after each restart."""
BURST_DAYS = 0.5
"""So much of a day's worth may come at once."""
WINDOW_HOURS = 4
"""So late a line may come, behind the newest one of its stream: half of the age at which Loki closes a chunk. A shipper
that was away reads one container's log to its end before another's."""


def day_bytes(retention_days: int, bound_bytes: int) -> float:
    """What is taken a day, before it is compressed: then even what can't be compressed stays within the bound."""
    return bound_bytes / (retention_days + SLACK_DAYS)


def loki_config(
    retention_days: int, bound_bytes: int, *, alertmanager: str, labels: Mapping[str, str], memory_mib: int
) -> str:
    """`alertmanager` is its host and port; alerts of the ruler have `labels`."""
    day = day_bytes(retention_days, bound_bytes)
    rate_mb = day / 86_400 / MIB
    alone = {"kvstore": {"store": "inmemory"}}
    cache = {"embedded_cache": {"enabled": True, "max_size_mb": max(8, memory_mib // 16)}}
    config: dict[str, Any] = {
        "auth_enabled": False,
        "analytics": {"reporting_enabled": False},
        "server": {
            "http_listen_port": LOKI_PORT,
            "grpc_listen_address": "127.0.0.1",
            "grpc_listen_port": GRPC_PORT,
            "log_level": "warn",
            "grpc_server_max_recv_msg_size": 16 * MIB,
            "grpc_server_max_send_msg_size": 16 * MIB,
        },
        "common": {
            "path_prefix": DATA,
            "replication_factor": 1,
            "instance_addr": "127.0.0.1",
            "ring": {"instance_addr": "127.0.0.1", **alone},
            "storage": {"filesystem": {"chunks_directory": f"{DATA}/chunks", "rules_directory": RULES}},
        },
        "schema_config": {
            "configs": [
                {
                    "from": "2024-01-01",
                    "store": "tsdb",
                    "object_store": "filesystem",
                    "schema": "v13",
                    "index": {"prefix": "index_", "period": "24h"},
                }
            ]
        },
        "ingester": {
            # There is no other one to wait for.
            "lifecycler": {"min_ready_duration": "0s"},
            "chunk_encoding": "zstd",
            "chunk_idle_period": "1h",
            "max_chunk_age": f"{2 * WINDOW_HOURS}h",
            "wal": {
                "enabled": True,
                "dir": f"{DATA}/wal",
                "flush_on_shutdown": True,
                "replay_memory_ceiling": f"{memory_mib // 4}MB",
            },
        },
        "compactor": {
            "working_directory": f"{DATA}/compactor",
            "retention_enabled": True,
            "delete_request_store": "filesystem",
            "compaction_interval": "10m",
            "retention_delete_delay": "30m",
        },
        "limits_config": {
            "retention_period": f"{retention_days * 24}h",
            "ingestion_rate_mb": round(rate_mb, 6),
            "ingestion_burst_size_mb": round(day * BURST_DAYS / MIB, 3),
            # Who writes how much is shared out by nobody: the bound is one for all.
            "per_stream_rate_limit": f"{max(1, round(day * BURST_DAYS / MIB))}MB",
            "per_stream_rate_limit_burst": f"{max(1, round(day * BURST_DAYS / MIB))}MB",
            "max_line_size": f"{2 * ENTRY_KIB}KB",
            "max_line_size_truncate": True,
            "reject_old_samples_max_age": f"{retention_days * 24}h",
            "discover_log_levels": False,
            "discover_service_name": [],
            "volume_enabled": True,
            "max_entries_limit_per_query": 10_000,
            "split_queries_by_interval": "6h",
            "max_query_parallelism": 4,
            "otlp_config": {
                "resource_attributes": {
                    "ignore_defaults": True,
                    "attributes_config": [{"action": "index_label", "attributes": list(LABELS)}],
                }
            },
        },
        "querier": {"max_concurrent": 2},
        "query_range": {"cache_results": False},
        "chunk_store_config": {"chunk_cache_config": cache},
        "ruler": {
            "storage": {"type": "local", "local": {"directory": RULES}},
            "rule_path": f"{SCRATCH}/rules",
            "alertmanager_url": f"http://{alertmanager}",
            "enable_alertmanager_v2": True,
            "enable_api": True,
            "evaluation_interval": "1m",
            "external_labels": dict(labels),
            "ring": alone,
        },
    }
    return as_yaml(config)
