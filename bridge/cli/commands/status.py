"""The ``status`` command: show the last poll, the sinks and their backlog, read from the state."""

import time
from dataclasses import asdict
from typing import Any

import click

from bridge.cli.command_help import new_command
from bridge.cli.common_options import HOLD_ADVICE, config_option, output_option, print_json, read_settings
from bridge.cli.exit_codes import ExitCode
from bridge.cli.terminal_output import show, status
from bridge.cli.text_tables import print_table
from bridge.events.display_text import count, instant, printable, span
from bridge.operations.status_report import status_document
from bridge.store.state_opening import read_state, state_database

_IN_DOUBT = "read as older than known, so what was read waits for another look (events list tells more)"

_CUT = "sinks ask for aliases, tags or descriptions of more models than are read at every poll: full scans find them"


@new_command("status")
@config_option
@output_option
def command(config: str | None, output: str) -> int:
    """Show the registry, the last poll and the sinks' backlog.

    Shows when the registry was last read, with what result, and for each sink, how many entries are pending
    or dead, and why. Reads the state only; works beside a running daemon; sends no request to the registry or a sink.

    \b
    Examples:
      mlflow-bridge status
      mlflow-bridge status --output json
    """
    settings = read_settings(config)
    with read_state(settings) as state:
        document = status_document(settings, state, time.time_ns() // 1_000_000)
    if settings.state.is_database:
        document["replicas"] = [asdict(one) for one in state_database(settings).members()]
    if output == "json":
        print_json(document)
    else:
        _print(document)
    return ExitCode.DONE


def _governance(found: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what waits for a decision, and what went wrong; nothing if there is neither."""
    requests, direct = found["requests"], found["direct_transitions"]
    waiting = requests.get("pending", 0)
    told = [
        *(
            [f"{count(waiting, 'request')} pending since {instant(found['oldest_pending_at'])}"]
            if waiting
            else []
        ),
        *([f"{requests['approved']} to be made"] if requests.get("approved") else []),
        *([f"{requests['failed']} failed"] if requests.get("failed") else []),
    ]
    kept, waiting = direct.get("kept", 0), direct.get("pending", 0) + direct.get("reverting", 0)
    return [
        *([("requests", f"{', '.join(told)}: mlflow-bridge requests list")] if told else []),
        *(
            [
                (
                    "at gates",
                    f"{count(waiting, 'direct transition')} to be judged or undone: its deliveries wait",
                )
            ]
            if waiting
            else []
        ),
        *(
            [("past gates", f"{count(kept, 'refused transition')} could not be undone (events list)")]
            if kept
            else []
        ),
    ]


def _print(document: dict[str, Any]) -> None:
    registry, state, poll = document["registry"], document["state"], document["last_poll"]
    snapshot = document["snapshot"]
    workspace = f" (workspace {registry['workspace']})" if registry["workspace"] else ""
    bound = registry["state_is_bound_to"]
    if bound not in (None, registry["uri"]):
        workspace += f" (but the state is bound to {bound}: see mlflow-bridge state rebind --help)"
    facts = [
        ("registry", registry["uri"] + workspace),
        ("server", _server(registry)),
        ("state", f"{state['folder']} ({state['bytes'] / 1e6:.1f} MB)"),
        *_replicas(document),
        ("baseline", instant(state["baseline_at"]) or "none yet: the first poll takes it"),
        ("snapshot", f"{count(snapshot['models'], 'model')}, {count(snapshot['versions'], 'version')}"),
        ("last poll", _poll(poll)),
        ("full scan", _scan(document["full_scan"])),
    ]
    if document["watched"]["is_cut"]:
        facts.append(("watched", _CUT))
    if document["held"]:
        facts.append(("held", f"{document['held']['why']}; {HOLD_ADVICE}"))
    if document["doubted"]:
        facts.append(("in doubt", f"{', '.join(document['doubted'])}: {_IN_DOUBT}"))
    facts += _governance(document["governance"])
    facts += [("left aside", _odd_row(row)) for row in document["left_aside"]]
    for name, value in facts:
        word, comma, rest = printable(value).partition(",")
        show(f"{name:<10} {status(word)}{comma}{rest}")
    if document["sinks"]:
        click.echo()
    print_table([_row(sink) for sink in document["sinks"]])
    for sink in document["sinks"]:
        if sink["condition_why"]:
            since = instant(sink["condition_since"])
            click.echo(
                f"\n{sink['name']}: {sink['condition']} since {since}: {printable(sink['condition_why'])}"
            )
        if (sink["pending"] or sink["dead"]) and sink["last_detail"]:
            click.echo(f"\n{sink['name']}: {printable(sink['last_detail'])}")


def _replicas(document: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the bridges that share the state, and how they differ; nothing if it is in a folder."""
    members = document.get("replicas")
    if members is None:
        return []
    owners = [one["name"] for one in members if one["is_owner"]]
    others = [one["name"] for one in members if not one["is_owner"]]
    told = [
        f"{owners[0]} works" if owners else "none works",
        *([f"{' and '.join(others)} {'stands' if len(others) == 1 else 'stand'} by"] if others else []),
        *(f"they differ in {key}" for key in _COMPARED if len({one[key] for one in members}) > 1),
    ]
    return [("replicas", ", ".join(told))]


_COMPARED = ("version", "configuration")


def _odd_row(row: dict[str, Any]) -> str:
    version = f"version {row['version']} of " if row["version"] else ""
    return f"{version}{row['model'] or 'a row without a name'}: {row['why']} (since {instant(row['since'])})"


def _poll(poll: dict[str, Any] | None) -> str:
    if poll is None:
        return "none yet"
    ago = span(time.time_ns() // 1_000_000 - poll["attempted_at"])
    text = f"{poll['outcome']}, {ago} ago, at {instant(poll['attempted_at'])}"
    if poll["outcome"] != "failed":
        return f"{text}, {poll['kind']}, took {poll['duration_ms']} ms"
    since = instant(poll["succeeded_at"]) or "never"
    return f"{text}: {poll['error']} (last success: {since})"


def _scan(scan: dict[str, Any] | None) -> str:
    if scan is None:
        return "none yet"
    if not scan["is_over"]:
        return f"goes on, took {scan['duration_ms'] / 1000:.1f} s so far"
    went = "ok" if scan["went_well"] else "failed"
    slowed = ", for its share of the registry's time" if scan["is_slowed_by_share"] else ""
    models = scan["model_scan"]
    between = f"; of models without versions every {span(models['every_ms'])}" if models else ""
    return (
        f"{went}, at {instant(scan['at'])}, took {scan['duration_ms'] / 1000:.1f} s; "
        f"every {span(scan['every_ms'])}{slowed}{between}"
    )


def _server(registry: dict[str, Any]) -> str | None:
    if registry["abilities"] is None:
        return "not asked yet"
    told = registry["server"] or "does not tell its version"
    return f"{told}; lacks {', '.join(registry['lacks'])}" if registry["lacks"] else told


def _row(sink: dict[str, Any]) -> dict[str, Any]:
    age = sink["oldest_age_seconds"]
    return {
        "SINK": sink["name"],
        "TYPE": sink["type"],
        "CONDITION": sink["condition"],
        "TO": sink["to"],
        "PENDING": sink["pending"],
        "DEAD": sink["dead"],
        "OLDEST": None if age is None else span(age * 1000),
        "LAST OUTCOME": sink["last_outcome"],
    }
