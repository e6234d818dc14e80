"""How groups of builds end: told once, in the transaction that ends the last of them."""

from collections.abc import Iterable

from ciserver.model.build import NO_LABEL, Build
from ciserver.model.event import GroupFinished, GroupMember, stamp
from ciserver.model.job_group import JobGroup
from ciserver.model.links import Links
from ciserver.model.ports import Clock
from ciserver.service.telling import MAIL, Telling
from ciserver.store.store import Store


class GroupEnds:
    def __init__(self, store: Store, clock: Clock, links: Links, telling: Telling) -> None:
        self._store = store
        self._clock = clock
        self._links = links
        self._telling = telling

    def follow(self, builds: Iterable[Build]) -> None:
        """Tell the ends of the groups of which these builds were the last to end. Within the
        transaction of that end.
        """
        by_id = {one.id: one for one in builds}
        for group, last in self._store.job_groups.end_with(by_id, self._clock.now()):
            if group.triggers:
                self._tell(group, by_id[last])

    def _tell(self, group: JobGroup, last: Build) -> None:
        event = self._event(group, last)
        settings = self._store.jobsets.find_settings(last.jobset_id)
        sends_mail = settings is not None and settings.tell_by_mail
        for index, spec in enumerate(group.triggers):
            if event.meets(spec.condition) and (sends_mail or spec.action != MAIL):
                self._telling.tell(event, spec, f"group:{group.id}:{event.type}:{index}")

    def _event(self, group: JobGroup, last: Build) -> GroupFinished:
        builds = self._store.job_groups.members(group.id)
        labels = self._store.labels.of(one.id for one in builds)
        return GroupFinished(
            group_id=group.id,
            build_id=last.id,
            owner=group.owner,
            note=group.note,
            project=last.project,
            jobset=last.jobset,
            finished_at=stamp(self._clock.now()),
            url=self._links.build(last.id),
            members=tuple(
                GroupMember(
                    one.id,
                    one.job,
                    one.status.value,
                    self._links.build(one.id),
                    labels.get(one.id, NO_LABEL).tags,
                )
                for one in builds
            ),
        )
