"""Monitoring: what is measured, who is told when, and the programs that do both."""
