"""The plug-in in MLflow's own server (entry points ``mlflow.app``): the bridge's API at MLflow's address, hints, refusals.

It runs in MLflow's process: it imports little, is never waited for but where a gate has to be asked, and knows the bridge
by HTTP alone.
"""
