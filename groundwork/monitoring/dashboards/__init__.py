"""Dashboards: what people look at. Each is data, as alerts are; only render.py knows Grafana's library, and only a
stack with Grafana imports it."""
