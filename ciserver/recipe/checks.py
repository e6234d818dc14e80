"""The types that the manifest's fields are made of, each with its own sentence for a fault.

Every sentence continues the name of the field: "must be a list of strings, not a number".
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import (
    BeforeValidator,
    Discriminator,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    ValidationError,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from ciserver.recipe.complaints import nearest, shown

_KINDS: dict[type, str] = {
    type(None): "nothing",
    bool: "true or false",
    int: "a number",
    float: "a number with a fraction",
    str: "a string",
    list: "a list",
    dict: "a map",
}
# The keywords of JSON Schema that mean "not empty", each for its type.
_SAYS_OF = {"minLength": "string", "minItems": "array", "minProperties": "object"}
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")

# Which side of a union a value is on; complaints leave these out of the field's name.
ONE, MANY = "<one>", "<many>"


def kind_of(value: Any) -> str:
    return _KINDS.get(type(value), "something else")


def fault(sentence: str) -> PydanticCustomError:
    # The sentence is an argument, so that braces in it are never a template.
    return PydanticCustomError("fault", "{sentence}", {"sentence": sentence})


def fault_at(key: str, sentence: str) -> ValidationError:
    """A fault that stands at a key inside the value that is looked at."""
    detail = InitErrorDetails(type=fault(sentence), loc=(key,), input=None)
    return ValidationError.from_exception_data("manifest", [detail])


def must_be(what: str, *types: type) -> BeforeValidator:
    """Exactly one of these types: true is no number, 3 is no string."""

    def check(value: Any) -> Any:
        if type(value) not in types:
            raise fault(f"must be {what}, not {kind_of(value)}")
        return value

    return BeforeValidator(check)


def must_be_one_of(words: tuple[str, ...]) -> BeforeValidator:
    def check(value: Any) -> str:
        if not isinstance(value, str) or value not in words:
            raise fault(not_one_of(value, words))
        return value

    return BeforeValidator(check)


def not_one_of(value: Any, words: tuple[str, ...]) -> str:
    choices = f"must be one of {', '.join(words)}"
    if not isinstance(value, str):
        return f"{choices}, not {kind_of(value)}"
    return f"{choices}, not {shown(value)}{nearest(value, words)}"


@dataclass(frozen=True, eq=False)  # types hash their annotations, and maps have no hash
class Rule:
    """A check of what the type allows, and how much of it JSON Schema can say."""

    check: Callable[[Any], Any]
    shape: Mapping[str, Any] = field(default_factory=dict)

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        inner = handler(core)
        shape = {
            word: value
            for word, value in self.shape.items()
            if _SAYS_OF.get(word) in {inner.get("type"), None}
        }
        clashes = inner.keys() & shape.keys()
        return {"allOf": [inner, shape]} if clashes else {**inner, **shape}


def refused_if(is_wrong: Callable[[Any], bool], sentence: str, **shape: Any) -> Rule:
    """`shape` are the keywords of JSON Schema for the same rule, or for a part of it."""

    def check(value: Any) -> Any:
        if is_wrong(value):
            raise fault(sentence)
        return value

    return Rule(check, shape)


def matches(pattern: str, sentence: str) -> Rule:
    compiled = re.compile(pattern)
    return refused_if(
        lambda text: compiled.fullmatch(text) is None, sentence, pattern=f"^(?:{pattern})$"
    )


def within(lowest: int, highest: int) -> Rule:
    return refused_if(
        lambda number: not lowest <= number <= highest,
        f"must be from {lowest} to {highest}",
        minimum=lowest,
        maximum=highest,
    )


def up_to(number: int, things: str) -> Rule:
    return refused_if(
        lambda value: len(value) > number,
        f"must have at most {number} {things}",
        **{"maxLength" if things == "characters" else "maxItems": number},
    )


NO_NUL = refused_if(
    lambda value: isinstance(value, str) and "\0" in value, "must not hold a NUL character"
)
NOT_EMPTY = refused_if(
    lambda value: not value, "must not be empty", minLength=1, minItems=1, minProperties=1
)

Text = Annotated[str, must_be("a string", str), NO_NUL]
Line = Annotated[
    str,
    must_be("a string", str),
    NOT_EMPTY,
    refused_if(
        lambda text: _CONTROL.search(text) is not None,
        "must be one line of plain text",
        pattern=r"^[^\x00-\x1f\x7f]*$",
    ),
]
Strings = Annotated[tuple[Line, ...], must_be("a list of strings", list)]
Switch = Annotated[bool, must_be("true or false", bool)]
Whole = Annotated[int, must_be("a whole number", int)]


def by_list() -> Discriminator:
    """Tells the MANY side of a union from the ONE side."""
    return Discriminator(lambda value: MANY if isinstance(value, list) else ONE)
