"""What deploy/monitoring asks Prometheus, taken apart; and its rules as the Prometheus operator has them."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from typing import Any

import yaml

from support.manifests import MONITORING

RULES = MONITORING / "rules.yaml"
OPERATOR_RULES = MONITORING / "prometheusrule.yaml"


def program(name: str) -> Path:
    """Return where a program of Debian's package prometheus is, or would be: `make promtool` brings it."""
    return Path(shutil.which(name) or Path(sys.prefix) / "prometheus/usr/bin" / name)


_HEAD = """\
# rules.yaml for the Prometheus operator: written by `make golden`, from there.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: mlflow-bridge
  labels: { app.kubernetes.io/name: mlflow-bridge } # and what your Prometheus selects by, often: release
spec:
"""

_TOKEN = re.compile(
    r"""(?P<string>"[^"]*")|(?P<number>\d+(?:\.\d+)?)|(?P<duration>\[[^\]]*\])"""
    r"""|(?P<word>[a-zA-Z_:$][\w:]*)|(?P<sign>=~|!~|!=|==|>=|<=|[-+*/<>=(){},])|(?P<space>\s+)"""
)
_AGGREGATIONS = {"sum", "min", "max", "count"}
_FUNCTIONS = {"absent", "changes", "histogram_quantile", "increase", "min_over_time", "rate", "time"}
_GROUPINGS = {"by", "without", "on"}
_KEYWORDS = _AGGREGATIONS | _FUNCTIONS | _GROUPINGS | {"or", "unless", "offset"}


@dataclass(frozen=True)
class Selector:
    """A metric in an expression, with the labels that are asked of it: label, operator, value."""

    metric: str
    matchers: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True)
class Asked:
    """An expression: what it selects, and which labels it groups by."""

    where: str
    selectors: tuple[Selector, ...]
    groups: frozenset[str]


def tokens(expression: str) -> list[str]:
    """Return the tokens of an expression; whatever is none is an error."""
    expression = re.sub(r"\boffset \d+[smhd]\b", "", expression)
    found, at = [], 0
    while at < len(expression):
        match = _TOKEN.match(expression, at)
        assert match, f"no PromQL that is understood here: {expression[at:]!r}"
        at = match.end()
        if match.lastgroup not in {"space", "duration"}:
            found.append(match[0])
    return found


def asked(expression: str, where: str = "") -> Asked:
    """Take an expression apart: every word is a keyword, a label or a metric."""
    words, selectors, groups = tokens(expression), [], set()
    for opened, closed in ("()", "{}"):
        assert words.count(opened) == words.count(closed), f"unbalanced: {expression!r}"
    while words:
        word = words.pop(0)
        if word in _GROUPINGS:
            groups |= set(_upto(words, ")")) - {"(", ","}
        elif word not in _KEYWORDS and re.match(r"[a-zA-Z_]", word):
            matchers = _upto(words, "}") if words and words[0] == "{" else []
            selectors.append(Selector(word, tuple(_matchers(matchers))))
    return Asked(where, tuple(selectors), frozenset(groups))


def _upto(words: list[str], end: str) -> list[str]:
    at = words.index(end)
    taken = words[:at]
    del words[: at + 1]
    return taken


def _matchers(words: list[str]) -> Iterator[tuple[str, str, str]]:
    rest = [word for word in words if word not in "{,"]
    for label, operator, value in zip(rest[::3], rest[1::3], rest[2::3], strict=True):
        yield label, operator, value.strip('"')


def rules() -> list[dict[str, Any]]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return group["rules"]


def dashboard() -> dict[str, Any]:
    return json.loads((MONITORING / "dashboard.json").read_text())


def of_rules() -> list[tuple[str, str]]:
    """Return each alert with its expression."""
    return [(rule["alert"], rule["expr"]) for rule in rules()]


def of_dashboard() -> list[tuple[str, str]]:
    """Return what every panel, annotation and variable asks, with its title."""
    board = dashboard()
    found = [
        (panel["title"], target["expr"]) for panel in board["panels"] for target in panel.get("targets", ())
    ]
    found += [(note["name"], note["expr"]) for note in board["annotations"]["list"]]
    for variable in board["templating"]["list"]:
        found += [(variable["name"], text) for text in _of_variable(variable)]
    return found


def all_asked() -> list[Asked]:
    """Take apart what rules and dashboard ask."""
    return [asked(expression, where) for where, expression in [*of_rules(), *of_dashboard()]]


def as_grafana_asks(expression: str) -> str:
    """Return an expression of the dashboard with everything chosen, over a minute."""
    text = expression.replace("$__rate_interval", "1m")
    return re.sub(r"\$(instance|sink)", ".*", text)


def _of_variable(variable: dict[str, Any]) -> Iterator[str]:
    if variable["type"] == "query":
        selector, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["definition"]).groups()
        yield f"count by ({label}) ({selector})"


def operator_rules() -> str:
    """Return rules.yaml as a PrometheusRule."""
    text = RULES.read_text()
    return _HEAD + indent(text[text.index("groups:") :], "  ")


if __name__ == "__main__":
    OPERATOR_RULES.write_text(operator_rules())
