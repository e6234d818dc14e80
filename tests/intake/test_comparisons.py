"""Secrets are compared in constant time, everywhere in this room."""

import ast
import re
from pathlib import Path

from ciserver.intake import doors

SECRET_NAME = re.compile("token|secret|sig", re.IGNORECASE)
SHORTCUTS = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot)


def names_in(node):
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            yield part.id
        elif isinstance(part, ast.Attribute):
            yield part.attr


def careless_comparisons(source):
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare)
        and any(isinstance(operator, SHORTCUTS) for operator in node.ops)
        and any(SECRET_NAME.search(name) for name in names_in(node))
    ]


def test_no_secret_is_compared_with_an_operator():
    """No `==` and the like stands beside a name of a token, secret or signature."""
    sources = sorted(Path(doors.__file__).parent.glob("*.py"))
    assert len(sources) > 5
    assert {path.name: careless_comparisons(path.read_text("utf-8")) for path in sources} == {
        path.name: [] for path in sources
    }


def test_the_search_finds_what_it_looks_for():
    """The test above would notice."""
    assert careless_comparisons("if sent == hook.secret: pass")
    assert careless_comparisons("ok = signature in known")
