"""How a jobset is saved, whoever says what it is to be: people, or a file that declares it."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta

from ciserver.git.address import Addresses, is_local, repository_key
from ciserver.model.errors import BadAddress, Complaint
from ciserver.model.ports import Clock
from ciserver.model.project import Input, InputType, Jobset, JobsetSettings, Project
from ciserver.service.jobset_faults import input_faults
from ciserver.store.store import Store


class JobsetSaving:
    """`ring_polls` says that some repository may have to be looked at earlier than was planned."""

    def __init__(
        self, store: Store, clock: Clock, addresses: Addresses, *, ring_polls: Callable[[], None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._addresses = addresses
        self._ring_polls = ring_polls

    def check_inputs(
        self, inputs: Iterable[Input], *, may_be_local: Callable[[Input], bool]
    ) -> tuple[tuple[Input, ...], list[Complaint]]:
        """The inputs as they will be, and what is wrong with others."""
        checked: list[Input] = []
        complaints: list[Complaint] = []
        for one in inputs:
            complaints += input_faults(one)
            try:
                checked.append(self._check_input(one, local=may_be_local(one)))
            except BadAddress as error:
                complaints.append(Complaint(f"inputs.{one.name}", error.message))
        return tuple(checked), complaints

    def _check_input(self, one: Input, *, local: bool) -> Input:
        if not one.type.has_files:
            return one
        if one.type is InputType.PATH:
            uri = self._addresses.check_path(one.uri, local=local)
            return replace(one, uri=uri, ref="", watch=(), local=local and is_local(uri))
        uri = self._addresses.check(one.uri, local=local)
        return replace(one, uri=uri, local=local and is_local(uri))

    def save(
        self,
        project: Project,
        known: Jobset | None,
        name: str,
        settings: JobsetSettings,
        inputs: tuple[Input, ...],
        *,
        keeps_credentials: bool = True,
        is_evaluated: bool = False,
    ) -> int:
        """Write down what was checked, within the caller's transaction; answers its id. Whoever
        asks for its old name is led to it. The clock looks at it at once, unless it is evaluated
        in any case. Raises AlreadyExists.
        """
        jobsets, renames = self._store.jobsets, self._store.renames
        if known is None:
            jobset_id = jobsets.add(project, name, settings)
        else:
            jobset_id = known.id
            jobsets.change(jobset_id, name, settings)
        if known is not None and known.name != name:
            renames.add_jobset(project.id, jobset_id, known.name)
        renames.forget_jobset(project.id, name)
        before = jobsets.remove_inputs(jobset_id)
        credentials = before if keeps_credentials else {}
        for one in inputs:
            key = repository_key(one.uri) if one.type is InputType.GIT else ""
            jobsets.add_input(
                jobset_id, one, repository_key=key, credential=credentials.get(one.uri)
            )
        seconds = settings.check_interval_seconds
        first = self._clock.now() + timedelta(seconds=seconds if is_evaluated else 0)
        self._store.checks.plan(jobset_id, first if seconds else None)
        self._store.after_commit(self._ring_polls)
        return jobset_id
