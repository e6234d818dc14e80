"""Projects and jobsets that have another name now, for whoever still asks for the old one."""

from ciserver.model.account import Actor
from ciserver.model.errors import NotFound
from ciserver.service.rights import Rights
from ciserver.store.store import Store


class Renames:
    def __init__(self, store: Store, rights: Rights) -> None:
        self._store = store
        self._rights = rights

    def find(self, actor: Actor, project: str, jobset: str = "") -> tuple[str, str] | None:
        """What is called so now, where the actor may see it: the names of project and jobset. None
        where nothing else is meant.
        """
        now = self.project(project)
        try:
            found = self._rights.project(actor, now)
        except NotFound:
            return None
        jobset_now = jobset
        if jobset and not self._has_jobset(now, jobset):
            jobset_now = self._store.renames.find_jobset(found.id, jobset) or jobset
        return None if (now, jobset_now) == (project, jobset) else (now, jobset_now)

    def project(self, name: str) -> str:
        """What a project of that name is called now; the name itself where none was renamed. This
        is for hooks, whose signature proves more than a name.
        """
        if self._store.projects.find(name) is not None:
            return name
        return self._store.renames.find_project(name) or name

    def _has_jobset(self, project: str, name: str) -> bool:
        try:
            self._store.jobsets.get_by_name(project, name)
        except NotFound:
            return False
        return True
