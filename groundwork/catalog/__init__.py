"""The catalog: one file per backing service, each a subclass of BackingService and nothing else."""

from .backing_service import BackingService, Credentials, Sizing

__all__ = ["BackingService", "Credentials", "Sizing"]
