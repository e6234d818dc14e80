"""What has ended, as the file that programs of that time read: compressed JSON, written as it is
found, so that no size of it needs memory.
"""

import gzip
import hashlib
import io
import json
from collections.abc import Iterable
from datetime import datetime
from typing import IO, Any, cast

from ciserver.dialects.selfserve.show import epoch, epoch_or_none, is_built, reason_of
from ciserver.dialects.selfserve.words import STATE
from ciserver.model.links import Links
from ciserver.service.dumps import Ended

_MASTER = 1
_STAMP = "%Y%m%d%H%M%S"


class Dump:
    """The builds of a time, with the names of builders and machines by their numbers at the end."""

    def __init__(self, links: Links, since: datetime, until: datetime) -> None:
        self._links = links
        self._since = since
        self._until = until
        self._builders: dict[int, dict[str, str]] = {}
        self._slaves: dict[int, str] = {}

    def write(self, file: IO[bytes], found: Iterable[Ended]) -> None:
        """The same builds give the same bytes."""
        with (
            gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as packed,
            io.TextIOWrapper(cast("IO[bytes]", packed), encoding="utf-8") as text,
        ):
            text.write('{"builds": [')
            separator = "\n"
            for one in found:
                if is_built(one.build):
                    text.write(separator + json.dumps(self._item(one)))
                    separator = ",\n"
            text.write("\n]")
            for name, value in self._around().items():
                text.write(f',\n"{name}": {json.dumps(value)}')
            text.write("}\n")

    def _around(self) -> dict[str, Any]:
        return {
            "builders": self._builders,
            "slaves": self._slaves,
            "masters": {_MASTER: {"name": "ciserver", "url": self._links.home()}},
            "starttime": epoch(self._since),
            "endtime": epoch(self._until),
        }

    def _item(self, one: Ended) -> dict[str, Any]:
        build = one.build
        branch = one.branch or f"{build.project}:{build.jobset}"
        builder, slave = _number(build.full_name), _number(build.worker)
        self._builders[builder] = {"name": build.job, "category": branch}
        self._slaves[slave] = build.worker
        return {
            "id": build.id,
            "builder_id": builder,
            "slave_id": slave,
            "master_id": _MASTER,
            "buildnumber": build.number,
            "requesttime": epoch(build.queued_at),
            "starttime": epoch_or_none(build.started_at or build.finished_at),
            "endtime": epoch_or_none(build.finished_at),
            "result": STATE[build.status],
            "reason": reason_of(build),
            "request_ids": [build.id],
            "properties": self._properties(one, branch),
        }

    def _properties(self, one: Ended, branch: str) -> dict[str, Any]:
        build = one.build
        files = {
            product.name: self._links.product(build.id, product.id, product.name)
            for product in one.products
        }
        properties = {
            "branch": branch,
            "revision": build.revision,
            "buildername": build.job,
            "buildid": build.queued_at.strftime(_STAMP),
            "buildnumber": build.number,
            "product": build.project,
            "repo_path": f"{build.project}/{build.jobset}",
            "scheduler": build.kind.value,
            "who": build.requested_by,
            "slavename": build.worker,
            "request_ids": [build.id],
            "request_times": {build.id: epoch(build.queued_at)},
            "log_url": self._log(one),
            "blobber_files": json.dumps(files),
        }
        if files:
            properties["packageUrl"] = next(iter(files.values()))
        return properties

    def _log(self, one: Ended) -> str:
        """The log of the step that came last, or of which the build has none, its page."""
        ran = [step for step in one.steps if step.started_at]
        if not ran:
            return self._links.build(one.build.id)
        return self._links.log(one.build.id, one.build.attempt, ran[-1].name)


def _number(name: str) -> int:
    """A number that stands for a name, always the same, and exact in every reader of JSON."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big")
