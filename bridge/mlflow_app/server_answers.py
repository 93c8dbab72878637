"""The plug-in's answers to requests at MLflow's server, in the form of MLflow's errors."""

import json

from flask import Response


def refusal(status: int, code: str, message: str) -> Response:
    """Return an error: ``code`` is one of MLflow's (``ErrorCode``)."""
    return answer(status, json.dumps({"error_code": code, "message": message}).encode())


def answer(status: int, body: bytes) -> Response:
    """Return a JSON text as an answer."""
    return Response(body, status, mimetype="application/json")
