"""Day-two commands: `python -m ops`."""
