"""What pydantic says of a manifest, as sentences for the person who wrote it."""

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ciserver.model.errors import Complaint
from ciserver.recipe.complaints import Location, field_name, nearest
from ciserver.recipe.schema import known_keys


def complaints_of(error: ValidationError) -> list[Complaint]:
    """One complaint for each fault, with the exact field."""
    return [
        Complaint(field_name(one["loc"]), _sentence(one))
        for one in error.errors(include_url=False, include_input=False)
    ]


def _sentence(error: ErrorDetails) -> str:
    match error["type"]:
        case "fault":
            return error["msg"]
        case "missing":
            return "is required"
        case "extra_forbidden":
            return _unknown_key(error["loc"])
        case _:
            return error["msg"][:1].lower() + error["msg"][1:]


def _unknown_key(location: Location) -> str:
    parents = tuple(part for part in location[:-1] if isinstance(part, str))
    key = str(location[-1])
    known = known_keys(parents)
    return f"is not a known key{nearest(key, known) or '; known are ' + ', '.join(known)}"
