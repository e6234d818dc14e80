"""How much a project may keep, and that builds beyond it end for that reason."""

from ciserver.model.account import Actor
from ciserver.model.errors import Complaint, Invalid, OverQuota
from ciserver.model.project import Project
from ciserver.model.request import Action
from ciserver.model.storage import Kept, ProjectStorage
from ciserver.service.audit import Audit
from ciserver.service.rights import Rights
from ciserver.store.store import Store

_MOST_MB = 1 << 30


class Storage:
    """`quota_mb` is in MiB, of a project that has none of its own; 0: no limit."""

    def __init__(self, store: Store, rights: Rights, audit: Audit, *, quota_mb: int) -> None:
        self._store = store
        self._rights = rights
        self._audit = audit
        self._quota_mb = quota_mb

    def of_project(self, actor: Actor, name: str) -> ProjectStorage:
        """What a project keeps, for whoever sees it. Raises NotFound."""
        return self._of(self._rights.project(actor, name))

    def set_quota(self, actor: Actor, name: str, quota_mb: int | None) -> ProjectStorage:
        """In MiB; 0: no limit, None: that of the server. What is kept already stays. Raises
        NotFound, Forbidden for all but administrators, Invalid.
        """
        with self._audit.record(actor, Action.SET_QUOTA, project=name, quota_mb=quota_mb):
            project = self._rights.project(actor, name)
            self._rights.require_admin(actor, "projects:write")
            if quota_mb is not None and not 0 <= quota_mb <= _MOST_MB:
                fault = Complaint("quota_mb", f"must be from 0 to {_MOST_MB}")
                raise Invalid("the quota cannot be used", complaints=[fault])
            self._store.storage.set_quota(project.id, quota_mb)
        return self._of(project)

    def check_room(self, build_id: int, size: int) -> None:
        """Raises OverQuota when the project of a build may not keep so many bytes more. What
        builds hand in at the same moment may go over it together.
        """
        jobset = self._store.jobsets.get(self._store.builds.get(build_id).jobset_id)
        kept = self._store.storage.of_project(jobset.project_id)
        quota_mb = self._in_force(kept)
        if quota_mb and kept.total + size > quota_mb << 20:
            raise OverQuota(
                f"project {jobset.project} may keep {quota_mb} MiB, keeps {kept.total} bytes and"
                f" has no room for {size} more",
                hint="delete builds, keep fewer of them, or ask an administrator for more room",
            )

    def totals(self) -> Kept:
        """Of all projects."""
        return self._store.storage.totals()

    def list_full(self) -> tuple[ProjectStorage, ...]:
        """The projects that keep as much as they may."""
        return self._store.storage.list_full(self._quota_mb)

    def _of(self, project: Project) -> ProjectStorage:
        kept = self._store.storage.of_project(project.id)
        return ProjectStorage(project.name, kept, self._in_force(kept))

    def _in_force(self, kept: Kept) -> int:
        return self._quota_mb if kept.quota_mb is None else kept.quota_mb
