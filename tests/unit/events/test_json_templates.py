"""Shapes: what fills their places stays there."""

import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.values import transition

from bridge.events.formats import encode, webhook_id
from bridge.events.jmespath_expressions import EvaluationFailed, ExpressionFault, compile_expression
from bridge.events.json_templates import ShapeFault, compile_shape, context_of

NAME = "MODEL_VERSION_TRANSITIONED_STAGE"
CONTEXT = context_of(transition(model="fraud"), NAME, "ci")
ANY_TEXT = st.text(st.characters(), max_size=30)
HOSTILE = st.one_of(
    ANY_TEXT,
    st.sampled_from(
        ['"', '","x":"', "\n", "${", "${model_version}", "$${", "\ud800", "'", "`", "\\", "\0", "}"]
    ),
)
LITERAL = ANY_TEXT.filter(lambda text: "${" not in text)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ANY_TEXT, inner, max_size=3),
    max_leaves=8,
)


def is_json(value: object) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) for key in value) and all(map(is_json, value.values()))
    if isinstance(value, list):
        return all(map(is_json, value))
    finite = not isinstance(value, float) or abs(value) < float("inf")
    return (value is None or type(value) in (str, int, float, bool)) and finite


def rendered(spec: object, **context: object) -> object:
    return compile_shape(spec).render({**CONTEXT, **context})


def test_the_context_is_the_default_body_and_what_identifies_the_delivery() -> None:
    assert {
        "event": NAME,
        "timestamp": 1_000,
        "model_name": "fraud",
        "model_version": "1",
        "to_stage": "Production",
        "from_stage": "Staging",
        "user_id": None,
        "webhook_id": webhook_id("ci"),
        "delivery_id": "event-1",
        "sink": "ci",
    } == CONTEXT


@pytest.mark.parametrize(
    ("spec", "value"),
    [
        ("${timestamp}", 1_000),
        ("${user_id}", None),
        ("${nothing}", None),
        ("by ${user_id}${nothing}.", "by ."),
        ("${model_name} v${model_version} → ${to_stage}", "fraud v1 → Production"),
        ("at ${timestamp}", "at 1000"),
        ("${to_stage == 'Production'}", True),
        ("is ${to_stage == 'Production'}", "is true"),
        (
            "${{name: model_name, parts: [to_stage, from_stage]}}",
            {"name": "fraud", "parts": ["Production", "Staging"]},
        ),
        ("in ${[to_stage, user_id]}", 'in ["Production",null]'),
        ("${join('}', [to_stage, '${'])}", "Production}${"),
        ('${"model_name"}', "fraud"),
        ('${`{"a": "}"}`}', {"a": "}"}),
        ("${'it\\'s }'}", "it's }"),
        ("$${model_name}", "${model_name}"),
        ("$$${model_name}", "$${model_name}"),
        ("$ $5 $$ {} }", "$ $5 $$ {} }"),
        ("$", "$"),
        ("", ""),
        ([1, True, 2.5, {"a": ["${model_version}"]}], [1, True, 2.5, {"a": ["1"]}]),
        ("${to_number('nan')}", None),
        ("${to_number('1e999')}", None),
    ],
)
def test_what_a_shape_renders_to(spec, value) -> None:
    assert rendered(spec) == value


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (
            {"parameters": [{"value": "v${length(}"}]},
            "parameters[0].value: at character 11: the expression ends too early",
        ),
        ("${model_name", "at character 1: ${ is not closed (a literal ${ is written $${)"),
        ("a ${'b}", "at character 3: ${ is not closed, or the ' in it (a literal ${ is written $${)"),
        ("x ${}", "at character 5: the expression is empty"),
        ("${a b}", "at character 5: unexpected 'b'"),
        ("${a = b}", "at character 5: unknown token '=' (== compares)"),
        ("${uper(a)}", "at character 3: there is no function uper()"),
        ("${a || lenght(a)}", "at character 8: there is no function lenght() (did you mean length()?)"),
        ("${length(a, b)}", "at character 3: length() takes 1 argument, not 2"),
        ("${&a}", "at character 3: &… is no value: it stands only for an argument of a function"),
        ("${`a`}", "at character 3: a text is written '…', and JSON `…`"),
        ({"a b": {"${x}": 1}}, '"a b"."${x}": keys are taken as they are: no ${…} in them'),
        ({"a": float("inf")}, "a: JSON has no such value: write it as a text"),
        (
            {"a": "${", "b": ["${"]},
            "a: at character 1: ${ is not closed (a literal ${ is written $${); b[0]: at",
        ),
    ],
)
def test_a_fault_names_the_place_in_the_structure_and_the_position_in_the_text(spec, said) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the text is compared
        compile_shape(spec)

    assert str(caught.value).startswith(said)


def test_a_structure_without_end_is_refused() -> None:
    spec: object = "${model_name}"
    for _ in range(400):
        spec = [spec]

    with pytest.raises(ShapeFault, match="nested more than 32 levels deep"):
        compile_shape(spec)


def test_an_expression_without_a_value_is_a_fault_with_its_place() -> None:
    shape = compile_shape({"a": ["${length(user_id)}", "${contains('a', timestamp)}"], "b": "${model_name}"})

    with pytest.raises(ShapeFault) as caught:
        shape.render(CONTEXT)

    assert [place for place, _ in caught.value.faults] == [("a", 0), ("a", 1)]
    assert "a[0]: 'length(user_id)' has no value: length() takes string or array or object, not null" in str(
        caught.value
    )


def test_the_expressions_of_a_shape_are_told_with_their_places() -> None:
    shape = compile_shape({"a": ["${b}", "c"], "d": "${e} ${f.g}"})

    assert [(place, one.text) for place, one in shape.expressions()] == [
        (("a", 0), "b"),
        (("d",), "e"),
        (("d",), "f.g"),
    ]


@pytest.mark.parametrize(
    ("text", "members"),
    [
        ("a == 'x' && !b.c[0]", {"a", "b"}),
        ("join('-', [a, to_string(b)]) | c", {"a", "b"}),
        ("{x: a[?b == `1`].c, y: d.*, z: e[1:2], w: f[]}", {"a", "d", "e", "f"}),
        ("map(&a, b)", {"b"}),
        ("@", set()),
    ],
)
def test_the_members_that_an_expression_reads_are_known(text, members) -> None:
    assert compile_expression(text).members == members


def test_a_compiled_expression_is_a_value() -> None:
    one = compile_expression("to_stage == 'Production'")

    again = pickle.loads(pickle.dumps(one))  # noqa: S301 - our own
    assert (again, hash(again), again.is_true(CONTEXT)) == (one, hash(one), True)


@pytest.mark.parametrize(
    ("text", "is_true"),
    [
        ("user_id", False),
        ("''", False),
        ("`[]`", False),
        ("`{}`", False),
        ("`false`", False),
        ("`0`", True),
        ("`[0]`", True),
    ],
)
def test_what_is_true_is_what_jmespath_says(text, is_true) -> None:
    assert compile_expression(text).is_true(CONTEXT) is is_true


@given(name=HOSTILE, version=HOSTILE)
def test_a_hostile_name_cannot_leave_its_place(name, version) -> None:
    spec = {"text": "${model_name} v${model_version}!", "list": ["${model_name}"], "last": 1}

    body = encode(rendered(spec, model_name=name, model_version=version))

    assert json.loads(body) == {"text": f"{name} v{version}!", "list": [name], "last": 1}


@given(text=LITERAL)
def test_literal_text_stays_literal(text) -> None:
    assert rendered({"a": [text], text: text + " ${user_id}"}) == {"a": [text], text: text + " "}


@given(text=ANY_TEXT)
def test_a_doubled_dollar_keeps_any_text_literal(text) -> None:
    assert rendered(text.replace("${", "$${")) == text


WORDS = st.sampled_from(
    ["a", "b.c", "@", "*", "[]", "[*]", "[?a]", "[0]", "[::0]", ".", "|", "||", "&&", "&", "!", "==", "<", "(", ")",
     "{a: ", "}", ",", "'x'", "`1`", "`NaN`", "length(", "to_number(", "sort_by(", "max(", "to_string(", "keys(",
     "contains(", "map(", "join(", '"', "-1", "9" * 20]
)  # fmt: skip
EXPRESSIONS = st.lists(WORDS, max_size=8).map(" ".join) | ANY_TEXT


@given(text=EXPRESSIONS, context=st.dictionaries(st.sampled_from("abc"), JSON))
def test_whatever_is_written_and_whatever_is_there_comes_json_or_a_fault(text, context) -> None:
    try:
        value = compile_expression(text).value(context)
    except ExpressionFault as fault:
        assert 0 <= fault.at <= len(text)  # noqa: PT017 - either is right
    except EvaluationFailed as failed:
        assert repr(text) in str(failed)  # noqa: PT017 - either is right
    else:
        assert is_json(value)
        json.dumps(value, allow_nan=False)


@given(text=EXPRESSIONS)
def test_whatever_text_is_given_is_a_shape_or_a_fault(text) -> None:
    for spec in ("${" + text + "}", "x ${" + text + "} y", text):
        try:
            value = rendered({"a": [spec]})
        except ShapeFault as fault:
            assert str(fault).startswith("a[0]: ")  # noqa: PT017 - either is right
        else:
            json.dumps(value, allow_nan=False)
