"""What self-serve can be asked to change. Every change is a job request, performed later."""

from ciserver.dialects.selfserve.finder import Finder, first_digits, number_in_path
from ciserver.dialects.selfserve.forms import Form, number, variables
from ciserver.model.account import Actor
from ciserver.model.errors import Invalid, NotFound
from ciserver.model.evaluation import NO_WISH, Kind, Wish
from ciserver.model.project import Jobset
from ciserver.service.services import Services

_CUT = 12  # digits of a revision are kept of what is canceled


class Changes:
    """Each method is one call and answers the id of its job request; its docstring is what the
    page of calls says of it.
    """

    def __init__(self, services: Services) -> None:
        self._services = services
        self._ask = services.requests
        self._finder = Finder(services)

    def rebuild_build(self, actor: Actor, form: Form, branch: str) -> int:
        """Rebuild `build_id`, which must be given; `priority` and `count` are optional."""
        jobset = self._finder.branch(actor, branch)
        build_id = number(form, "build_id")
        priority, count = self._priority(actor, form), self._count(form)
        self._finder.build(actor, jobset, build_id, branch)
        return self._ask.ask_rebuild(
            actor, build_id, priority=priority, count=count, asked_as="rebuild_build"
        )

    def rebuild_request(self, actor: Actor, form: Form, branch: str) -> int:
        """Rebuild `request_id`, which must be given; `priority` and `count` are optional."""
        jobset = self._finder.branch(actor, branch)
        request_id = number(form, "request_id")
        priority, count = self._priority(actor, form), self._count(form)
        self._finder.request(actor, jobset, request_id, branch)
        return self._ask.ask_rebuild(
            actor, request_id, priority=priority, count=count, asked_as="rebuild_request"
        )

    def reprioritize(self, actor: Actor, form: Form, branch: str, request_id: str) -> int:
        """Give a waiting request another `priority`, which must be given. Higher ones come first;
        0 is usual.
        """
        jobset = self._finder.branch(actor, branch)
        priority = self._priority(actor, form, None)
        build_id = number_in_path(request_id, "request_id")
        self._finder.request(actor, jobset, build_id, branch)
        return self._ask.ask_reprioritize(actor, build_id, priority, asked_as="reprioritize")

    def cancel_request(self, actor: Actor, form: Form, branch: str, request_id: str) -> int:
        """Cancel a request, and the build that was made of it."""
        jobset = self._finder.branch(actor, branch)
        build_id = number_in_path(request_id, "request_id")
        self._finder.request(actor, jobset, build_id, branch)
        return self._ask.ask_cancel(actor, build_id, asked_as="cancel_request")

    def cancel_build(self, actor: Actor, form: Form, branch: str, build_id: str) -> int:
        """Cancel a build."""
        jobset = self._finder.branch(actor, branch)
        found = number_in_path(build_id, "build_id")
        self._finder.build(actor, jobset, found, branch)
        return self._ask.ask_cancel(actor, found, asked_as="cancel_build")

    def cancel_revision(self, actor: Actor, form: Form, branch: str, revision: str) -> int:
        """Cancel whatever of a revision runs or waits."""
        jobset = self._finder.branch(actor, branch)
        return self._ask.ask_cancel_revision(
            actor, jobset, _digits(revision)[:_CUT], asked_as="cancel_revision"
        )

    def new_build(self, actor: Actor, form: Form, branch: str, revision: str) -> int:
        """Build a revision anew, as a push of it would be."""
        return self._evaluate(
            actor,
            self._finder.branch(actor, branch),
            revision,
            branch,
            asked_as="new_build_at_revision",
        )

    def new_nightly(self, actor: Actor, form: Form, branch: str, revision: str) -> int:
        """Make the nightly builds of a revision; `priority` is optional."""
        return self._evaluate(
            actor,
            self._finder.branch(actor, branch),
            revision,
            branch,
            kind=Kind.NIGHTLY,
            wish=Wish(priority=self._priority(actor, form)),
            asked_as="new_nightly_at_revision",
        )

    def new_pgo(self, actor: Actor, form: Form, branch: str, revision: str) -> int:
        """Make the PGO builds of a revision; `priority` is optional."""
        return self._evaluate(
            actor,
            self._finder.branch(actor, branch),
            revision,
            branch,
            kind=Kind.PGO,
            wish=Wish(priority=self._priority(actor, form)),
            asked_as="new_pgobuild_at_revision",
        )

    def new_for_builder(
        self, actor: Actor, form: Form, branch: str, builder_name: str, revision: str
    ) -> int:
        """Make a build of one builder at a revision; `priority`, `properties` (a JSON object) and
        `files` (a JSON list) are optional.
        """
        jobset = self._finder.branch(actor, branch)
        priority = self._priority(actor, form)
        environment = variables(form)
        known = self._services.lists.job_names(actor, jobset)
        if jobset.source is None or builder_name not in known:
            raise Invalid(f"Unknown builder {builder_name}")
        return self._evaluate(
            actor,
            jobset,
            revision,
            branch,
            wish=Wish(jobs=(builder_name,), environment=environment, priority=priority),
            asked_as="new_build_for_builder",
        )

    def _priority(self, actor: Actor, form: Form, default: int | None = 0) -> int:
        priority = number(form, "priority", default)
        self._services.builds.check_priority(actor, priority)
        return priority

    def _count(self, form: Form) -> int:
        count = number(form, "count", 1)
        self._services.builds.check_count(count)
        return count

    def _evaluate(
        self,
        actor: Actor,
        jobset: Jobset,
        revision: str,
        branch: str,
        *,
        kind: Kind = Kind.API,
        wish: Wish = NO_WISH,
        asked_as: str,
    ) -> int:
        try:
            return self._ask.ask_evaluation(
                actor, jobset, _digits(revision), kind=kind, wish=wish, asked_as=asked_as
            )
        except NotFound:
            raise NotFound(f"Revision {revision} not found on branch {branch}") from None


def _digits(revision: str) -> str:
    digits = first_digits(revision)
    if digits is None:
        raise Invalid("Bad revision", hint="write at least four of its hexadecimal digits")
    return digits
