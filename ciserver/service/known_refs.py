"""The branches and tags of a project's repository, as the server last saw them."""

from ciserver.model.account import Actor
from ciserver.model.errors import NotFound, RemoteFailure
from ciserver.model.view import Tip
from ciserver.service.pinning import Pinning
from ciserver.service.rights import Rights
from ciserver.store.store import Store


class KnownRefs:
    def __init__(self, store: Store, rights: Rights, pinning: Pinning) -> None:
        self._store = store
        self._rights = rights
        self._pinning = pinning

    def of_project(self, actor: Actor, project_id: int) -> tuple[Tip, ...]:
        """Those that were evaluated or built, of the first repository of the project; the
        repository itself is not asked. Raises NotFound.
        """
        project = self._store.projects.find_by_id(project_id)
        if project is None:
            raise NotFound(f"there is no project {project_id}")
        self._rights.check_project(actor, project)
        for jobset in self._store.jobsets.list_of_project(project_id):
            if jobset.source is not None:
                try:
                    return self._pinning.open(jobset, jobset.source).tips()
                except RemoteFailure:
                    return ()  # it was never looked at
        return ()
