"""The manifest as JSON Schema, for editors that complete keys and mark faults."""

from typing import Any

from ciserver.recipe.meanings import MEANINGS
from ciserver.recipe.schema import MODELS, Manifest

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NOTHING = {"type": "null"}


def manifest_schema() -> dict[str, Any]:
    """The schema of one recipe file. It refuses nothing that is accepted here; rules that look at
    several values at once are not in it.
    """
    schema = Manifest.model_json_schema()
    for parents, model in MODELS.items():
        keys = schema if model is Manifest else schema["$defs"][model.__name__]
        for key, value in keys["properties"].items():
            dotted = ".".join((*(one.strip("<>") for one in parents), key))
            value["title"], value["description"] = MEANINGS[dotted]
    _close_names(schema)
    _allow_nothing(schema)
    return {"$schema": DIALECT, **schema, "title": "Recipe"}


def _close_names(part: Any) -> None:
    """A map whose keys must fit a pattern has no other keys."""
    if isinstance(part, dict):
        if "patternProperties" in part:
            part["additionalProperties"] = False
        for one in part.values():
            _close_names(one)
    elif isinstance(part, list):
        for one in part:
            _close_names(one)


def _allow_nothing(schema: dict[str, Any]) -> None:
    """A key of the recipe with nothing behind it asks for nothing."""
    for key, value in schema["properties"].items():
        if key in schema["required"] or _NOTHING in value.get("anyOf", ()):
            continue
        about = {word: value.pop(word) for word in ("title", "description")}
        schema["properties"][key] = {**about, "anyOf": [value, _NOTHING]}
