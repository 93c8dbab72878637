"""A receiver that decides on promotions, as the ordering document has it: a Flask service of its own.

It reads only ``event``, ``webhook_type``, ``stage``, ``model_name``, ``version`` and ``transition_request_id``, asks MLflow
for the run's ``validation_accuracy``, and decides by the API while the delivery is still open. It answers 200 whatever
became of that.
"""

import os
import sys

import requests
from flask import Flask, jsonify, request
from mlflow import MlflowClient
from mlflow.exceptions import RestException

MLFLOW_TRACKING_URI = os.environ["MLFLOW_TRACKING_URI"]
MLFLOW_API_TOKEN = os.environ["MLFLOW_API_TOKEN"]
THRESHOLD = 0.90

app = Flask(__name__)
client = MlflowClient(tracking_uri=MLFLOW_TRACKING_URI)


def decide(verb: str, request_id: str, comment: str) -> None:
    requests.post(
        f"{MLFLOW_TRACKING_URI}/api/2.0/mlflow/transition-requests/{verb}",
        headers={"Authorization": f"Bearer {MLFLOW_API_TOKEN}"},
        json={"transition_request_id": request_id, "comment": comment},
        timeout=30,
    )


@app.post("/mlflow-governance-hook")
def hook():
    data = request.json
    is_request = data["event"] == "MODEL_VERSION_TRANSITIONED_STAGE" and data.get("webhook_type") == (
        "TRANSITION_REQUEST_CREATED"
    )
    if not is_request or data.get("stage") != "Production":
        return jsonify({"status": "ignored"}), 200
    request_id = data["transition_request_id"]
    try:
        version = client.get_model_version(data["model_name"], data["version"])
        accuracy = client.get_run(version.run_id).data.metrics.get("validation_accuracy")
    except RestException as error:
        return jsonify({"status": "error", "message": str(error)}), 500
    if accuracy is None:
        decide("reject", request_id, "Automated rejection: no validation_accuracy")
        return jsonify({"status": "rejected"}), 200
    if accuracy >= THRESHOLD:
        decide("approve", request_id, f"Automated approval: {accuracy} is at least {THRESHOLD}")
        return jsonify({"status": "approved"}), 200
    decide("reject", request_id, f"Automated rejection: {accuracy} is below {THRESHOLD}")
    return jsonify({"status": "rejected"}), 200


if __name__ == "__main__":
    app.run("127.0.0.1", int(sys.argv[1]))
