"""The pure core: settings and system in, one frozen Deployment out. Nothing here imports pulumi."""
