"""Finding projects, jobsets, jobs and builds by a piece of what they are known by."""

import re
from collections.abc import Iterable, Iterator

from ciserver.model.account import Actor
from ciserver.model.errors import Invalid
from ciserver.model.overview import Found
from ciserver.model.view import JobsetSummary, ProjectSummary
from ciserver.service.rights import Rights
from ciserver.service.status import Status
from ciserver.store.store import Store

USUAL, MOST = 10, 50  # things of a kind
_LONGEST = 200
# Letters of any alphabet; what else may stand in names, versions, paths and short texts.
_QUERY = re.compile(r"[\w .,/:@+~-]+")
_NUMBER = re.compile(r"[0-9]{1,18}")
_REVISION = re.compile(r"[0-9a-f]{4,64}")
_SHORTEST = 4  # of a derivation


class Search:
    def __init__(self, store: Store, rights: Rights, status: Status) -> None:
        self._store = store
        self._rights = rights
        self._status = status

    def find(self, actor: Actor, query: str, *, limit: int = USUAL) -> Found:
        """Projects, jobsets and jobs with the query in their name (or title, or description), in
        letters of either case; builds by their number, by the beginning of their revision, or by
        that of their derivation's path or name. At most `limit` of each that the actor may see,
        none that is hidden. Raises Invalid for a query that is empty or no text.
        """
        text = query.strip()
        if not text:
            raise Invalid("Query is empty.")
        if len(text) > _LONGEST or not _QUERY.fullmatch(text):
            raise Invalid("Invalid character in query.")
        sight, limit = self._rights.sight(actor), min(MOST, max(1, limit))
        search = self._store.search
        jobsets = search.jobsets(sight, text, limit=limit)
        builds = search.build(sight, int(text)) if _NUMBER.fullmatch(text) else ()
        if _REVISION.fullmatch(text.lower()):
            builds += search.of_revision(sight, text.lower(), limit=limit - len(builds))
        return Found(
            projects=tuple(self._projects(search.projects(sight, text, limit=limit))),
            jobsets=self._status.standings(actor, self._store.jobsets.list_of_ids(jobsets)),
            jobs=search.jobs(sight, text, limit=limit),
            builds=builds,
            derived=search.of_derivation(sight, text, limit=limit)
            if len(text) >= _SHORTEST
            else (),
        )

    def _projects(self, project_ids: Iterable[int]) -> Iterator[ProjectSummary]:
        for one in project_ids:
            project = self._store.projects.find_by_id(one)
            if project is not None:
                jobsets = self._store.jobsets.list_of_project(one)
                yield ProjectSummary(project, tuple(JobsetSummary(each, None) for each in jobsets))
