"""The probe application: a small system's own code, used to test the platform that runs it (see app.py)."""
