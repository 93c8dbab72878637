"""``python -m bridge``: the same as the ``mlflow-bridge`` command."""

from bridge.cli import main

main()
