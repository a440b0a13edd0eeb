"""Pulumi ComponentResources: the only place that creates resources. They decide nothing about the system."""
