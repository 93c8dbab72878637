"""What fields mean: the docstrings below them, as they are written in the source."""

import ast
import inspect
from functools import cache
from itertools import pairwise
from textwrap import dedent

from pydantic import BaseModel


@cache
def _of_class(model: type[BaseModel]) -> dict[str, str]:
    body = ast.parse(dedent(inspect.getsource(model))).body[0].body
    found = {}
    for field, text in pairwise(body):
        is_field = isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        is_text = isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant)
        if is_field and is_text and isinstance(text.value.value, str):
            found[field.target.id] = inspect.cleandoc(text.value.value).replace("\n", " ")
    return found


def meaning(model: type[BaseModel], name: str) -> str:
    """Return what the field called ``name`` means; a subclass' own word goes before that of its base.

    Raises:
        LookupError: nobody has written it down.
    """
    described = model.model_fields[name].description
    for base in model.__mro__:
        if issubclass(base, BaseModel) and base is not BaseModel and name in _of_class(base):
            return _of_class(base)[name]
    if described:
        return described
    raise LookupError(f"{model.__name__}.{name} says nowhere what it means: write a docstring below it")
