"""Values do what frozen dataclasses do."""

import copy
import pickle
import threading
from dataclasses import (
    KW_ONLY,
    FrozenInstanceError,
    asdict,
    dataclass,
    field,
    replace,
)

import pytest

from ciserver.model.frozen import frozen


class Plain:
    name: str
    size: int = 0
    notes: dict[str, str] = field(default_factory=dict, compare=False)
    key: str = field(default="", repr=False)


Value = frozen(type("Twin", (Plain,), {**vars(Plain)}))
Frozen = dataclass(frozen=True)(type("Twin", (Plain,), {**vars(Plain)}))


@frozen
class Point:
    x: int
    y: int = 0


@frozen
class Marked(Point):
    _: KW_ONLY
    mark: str


@frozen
class Nothing:
    pass


GIVEN = [("a",), ("a", 1), ("a", 1, {"b": "c"}), ("a", 1, {}, "secret"), ("b",)]


@pytest.mark.parametrize("given", GIVEN)
def test_a_value_is_shown_and_taken_apart_as_a_frozen_dataclass_is(given):
    """With the same fields, defaults and secrets."""
    one, other = Value(*given), Frozen(*given)
    assert repr(one) == repr(other)
    assert asdict(one) == asdict(other)
    assert asdict(replace(one, size=7)) == asdict(replace(other, size=7))
    assert hash(one) == hash(other)


def test_values_are_equal_where_frozen_dataclasses_are():
    """By class and by the fields that are compared."""
    values, frozen = ([made(*given) for given in GIVEN] for made in (Value, Frozen))
    assert [[one == other for other in values] for one in values] == [
        [one == other for other in frozen] for one in frozen
    ]
    assert Point(1) != Marked(1, mark="")
    assert Point(1) != (1, 0)
    assert Nothing() == Nothing()
    assert len({Nothing(), Nothing(), Point(1), Point(1, 0)}) == 2


def test_each_instance_has_a_default_of_its_own():
    """What a factory makes is not shared."""
    assert Value("a").notes is not Value("a").notes


@pytest.mark.parametrize("given", [{}, {"x": 1, "z": 2}, {"y": 1}])
def test_what_does_not_fit_is_refused_as_by_any_function(given):
    """The first time and later."""
    for _ in range(2):
        with pytest.raises(TypeError, match=r"Point.__init__\(\)"):
            Point(**given)


def test_nothing_can_be_changed():
    """Not a field, not another name, not by deleting."""
    point = Point(1)
    for name in ("x", "other"):
        with pytest.raises(FrozenInstanceError, match=name):
            setattr(point, name, 2)
        with pytest.raises(FrozenInstanceError, match=name):
            delattr(point, name)
    assert point == Point(1, 0)


def test_a_value_that_inherits_has_the_fields_of_both():
    """Those by name alone among them, and patterns find the others."""
    marked = Marked(1, mark="m")
    assert repr(marked) == "Marked(x=1, y=0, mark='m')"
    match marked:
        case Marked(x, y):
            assert (x, y) == (1, 0)
    with pytest.raises(TypeError):
        Marked(1, 2, "m")


def test_copies_are_equal():
    """However they are made."""
    marked = Marked(1, mark="m")
    copies = [copy.copy(marked), copy.deepcopy(marked), pickle.loads(pickle.dumps(marked))]
    assert copies == [marked] * 3


def test_threads_that_are_the_first_at_once_all_get_theirs():
    """Whichever of them compiles it."""
    made, ready = [], threading.Barrier(8)

    @frozen
    class Fresh:
        number: int

    def make(number):
        ready.wait()
        made.append(Fresh(number))

    threads = [threading.Thread(target=make, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert {one.number for one in made} == set(range(8))


def test_nothing_is_compiled_for_a_class_before_it_is_used():
    """Until then its methods have the code of those of any other, and each when it is called."""

    @frozen
    class One:
        number: int

    @frozen
    class Other:
        text: str

    def codes(cls):
        return {vars(cls)[name].__code__ for name in ("__init__", "__repr__", "__eq__", "__hash__")}

    assert codes(One) == codes(Other)
    assert len(codes(One)) == 1
    one = One(1)
    assert len(codes(One)) == 2
    assert one == One(1)
    assert len(codes(One)) == 4
    assert "1" in repr(one)
    assert len(codes(One)) == 4
    assert len(codes(Other)) == 1
