"""Frozen dataclasses that cost little until they are used: what the words of the program are."""

from dataclasses import FrozenInstanceError, dataclass, field, fields, make_dataclass
from typing import Any, NoReturn, TypeVar, dataclass_transform

_Made = TypeVar("_Made", bound=type)
_COMPILED = (("__init__",), ("__repr__",), ("__eq__", "__hash__"))  # what is compiled together
_with_fields = dataclass(init=False, repr=False, eq=False)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
def frozen(cls: _Made) -> _Made:
    """What `dataclass(frozen=True)` promises. That compiles six methods for each class, which was a
    quarter of the start of a server; here each is compiled when it is first called.
    """
    cls.__doc__ = cls.__doc__ or cls.__name__  # or dataclass looks for a signature, which is slow
    _with_fields(cls)
    for names in _COMPILED:
        for name in names:
            setattr(cls, name, _compiling(cls, name, names))
    made: Any = cls
    made.__setattr__, made.__delattr__ = _refuse_to_set, _refuse_to_delete
    return cls


def _compiling(cls: type, name: str, together: tuple[str, ...]) -> Any:
    """Stands for a method until it is called."""

    def method(self: Any, *args: Any, **named: Any) -> Any:
        # Of two threads that are the first at once, one compiles in vain.
        _compile(cls, together)
        return getattr(cls, name)(self, *args, **named)

    return method


def _compile(cls: Any, names: tuple[str, ...]) -> None:
    shape = [(one.name, one.type, one) for one in fields(cls)]
    about = {"__doc__": cls.__doc__}
    twin = make_dataclass(
        cls.__qualname__,
        shape,
        namespace=about,
        init="__init__" in names,
        repr="__repr__" in names,
        eq="__eq__" in names,
        frozen=True,
    )
    for name in names:
        setattr(cls, name, getattr(twin, name))


def _refuse_to_set(_self: Any, name: str, _value: Any) -> NoReturn:
    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_to_delete(_self: Any, name: str) -> NoReturn:
    raise FrozenInstanceError(f"cannot delete field {name!r}")
