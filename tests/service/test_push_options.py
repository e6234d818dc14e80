"""What `git push -o` asks for, and what of it is understood."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.factories import ADMIN, MAIN, NEW, OLD, make_push

from ciserver.model.account import Actor, Visibility
from ciserver.model.errors import NotFound
from ciserver.model.push import RefChange
from ciserver.service.push_options import PushOptions, note_of, read_options, without_recipes

# A busy machine is no failure; two seconds for one small text would be.
patient = settings(deadline=2000, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize(
    ("options", "read"),
    [
        ((), PushOptions()),
        (("ci.variable=A=b", "merge_request.create"), PushOptions()),
        (("skip-ci",), PushOptions(skip="skip-ci")),
        ((" ci.skip ",), PushOptions(skip="ci.skip")),
        (("debug",), PushOptions(debug=True)),
        (
            ("description=one", "description= two\nthree\x1b[0m "),
            PushOptions(description="two three[0m"),
        ),
        (("visibility=Unlisted",), PushOptions(visibility=Visibility.UNLISTED)),
        (("visibility=private", "visibility=public"), PushOptions()),
    ],
)
def test_options_are_read(options, read):
    """The last one counts; those of other servers are passed over."""
    assert read_options(options) == read


def test_a_visibility_that_is_no_word_shows_less_not_more():
    """A slip of the hand must not publish anything."""
    read = read_options(("visibility=privat",))
    assert read.visibility is Visibility.PRIVATE
    assert read.notes == (
        "visibility= is none of public, unlisted, private; what is built is private",
    )


@patient
@given(
    st.lists(
        st.text(max_size=30) | st.from_regex(r"(submit|description|visibility)=.*"), max_size=5
    )
)
def test_no_option_breaks_the_reading(options):
    """Whatever git lets through is read, and a note stays one line."""
    read = read_options(options)
    assert len(read.description) <= 500
    assert all(one.isprintable() for one in read.description)
    note_of(options, "an outcome")


def test_options_for_recipes_elsewhere():
    """Patterns name files of what was pushed, not of another repository."""
    assert without_recipes(("submit=a", "description=b")) == ("description=b",)


@pytest.mark.parametrize("option", ["skip-ci", "ci.skip"])
def test_a_push_that_wants_no_builds_is_ignored(services, make, store, option):
    """It is stored with the reason, once for all of its refs, and nothing is evaluated."""
    make.jobset("project")
    changes = (RefChange(MAIN, OLD, NEW), RefChange("refs/heads/x", OLD, NEW))
    outcome = services.pushes.accept_push(make.received(), make_push(*changes, options=(option,)))
    assert outcome.evaluations == ()
    assert outcome.ignored == f"the push option {option} asks for no builds"
    (ignored,) = store.pushes.list_ignored(store.projects.get("project").id, 10)
    assert ignored.reason == outcome.ignored
    assert services.evaluations.evaluate_next() is False


def test_a_push_may_hide_what_it_builds(services, make, store):
    """From everybody who is no member of the project."""
    make.jobset("project")
    push = make_push(options=("visibility=private",))
    (one,) = services.pushes.accept_push(make.received(), push).evaluations
    assert store.evaluations.get(one.id).visibility is Visibility.PRIVATE
    assert services.evaluation_lists.evaluation(ADMIN, one.id)
    with pytest.raises(NotFound):
        services.evaluation_lists.evaluation(Actor("eve", scopes=("*",)), one.id)
