"""Which root file system a build in podman runs on: an image of podman's, or one of this server."""

from collections.abc import Iterator
from contextlib import contextmanager

from ciserver.executor.containers import last_line
from ciserver.executor.images import Image, Images, describe
from ciserver.executor.podman import Podman
from ciserver.executor.podman_images import PodmanImages
from ciserver.executor.podman_root import Root, Users
from ciserver.executor.sandbox import Sandbox, SandboxFailed
from ciserver.executor.workdir import WorkDirectory
from ciserver.model.build import OWN_IMAGES, Job

_SHORT_ID = 12
_CUT = "--- ciserver ---"
# With what a shell has itself: an image may have little else.
_LOOK = f"""for shell in /bin/bash /usr/bin/bash /usr/local/bin/bash /bin/sh; do
  [ ! -x "$shell" ] || break
done
echo "$shell"
for file in /etc/passwd /etc/group; do
  echo '{_CUT}'
  [ ! -r "$file" ] || while IFS= read -r line || [ -n "$line" ]; do echo "$line"; done <"$file"
done
"""


class PodmanRoots:
    """Images of podman's come before those that were made here. All are read-only."""

    def __init__(
        self,
        images: Images,
        sandbox: Podman,
        podman_images: PodmanImages,
        *,
        refuses_unknown: bool,
    ) -> None:
        self._images = images
        self._sandbox = sandbox
        self._podman_images = podman_images
        self._refuses_unknown = refuses_unknown
        self._roots: dict[tuple[str, str], Root] = {}

    @contextmanager
    def enter(self, job: Job, _directory: WorkDirectory) -> Iterator[Sandbox]:
        """The sandbox for this job, whose image stays until the end. Raises SandboxFailed."""
        with self._root_of(job.image) as root:
            if root is not None:
                yield self._sandbox.on(root)
                return
            if self._refuses_unknown and job.image not in OWN_IMAGES:
                raise SandboxFailed(f"the image {job.image} is no longer here")
            yield self._sandbox

    def names(self) -> tuple[str, ...]:
        own = set(self._images.names()) - set(self._podman_images.given)
        return tuple(sorted(own.union(self._podman_images.names())))

    def all_names(self) -> tuple[str, ...]:
        return tuple(sorted({*self._images.all_names(), *self._podman_images.given}))

    def changes(self) -> tuple[bool, str]:
        return True, "builds in podman see their images read-only"

    def describe(self, name: str) -> str:
        reference = self._podman_images.given.get(name)
        return f"{reference} of podman" if reference else describe(self._images.get(name))

    def fault(self, name: str) -> str:
        try:
            with self._root_of(name) as root:
                if root is None:
                    return self._podman_images.fault() or "it is not there"
                status, said = self._sandbox.on(root).ask(root.shell, "-c", "exit 0")
                return last_line(said) if status else ""
        except SandboxFailed as error:
            return str(error)

    def remedy(self, name: str) -> str:
        reference = self._podman_images.given.get(name)
        if reference:
            return f"give podman {reference}, by podman pull, podman build or podman import"
        return f"make it anew: ciserver image add {name} --replace"

    def sweep(self) -> None:
        self._images.sweep()

    @contextmanager
    def _root_of(self, name: str) -> Iterator[Root | None]:
        if name in self._podman_images.given:
            found = self._podman_images.id_of(name, fresh=True)
            yield self._of_podman(name, found) if found else None
            return
        with self._images.use(name) as image:
            yield self._of_server(image) if image else None

    def _of_podman(self, name: str, found: str) -> Root:
        """By its id, so that all tasks of a build have the same one. Raises SandboxFailed."""
        if known := self._roots.get((name, found)):
            return known
        reference = self._podman_images.given[name]
        about = f"on the image {name}, {reference} of {found[:_SHORT_ID]} (read-only;"
        bare = Root((found,), "/bin/sh", f"{about} own processes, fewer system calls)", name)
        status, said = self._sandbox.on(bare).ask("/bin/sh", "-c", _LOOK)
        parts = said.split(f"{_CUT}\n")
        if status or len(parts) != 3:
            raise SandboxFailed(f"the image {name} cannot be used: {last_line(said)}")
        shell, passwd, group = parts
        root = Root(bare.words, shell.strip(), bare.about, name, users=Users(passwd, group))
        self._roots[name, found] = root
        return root

    def _of_server(self, image: Image) -> Root:
        """In an overlay of podman's, so that places for mounts are not made in the image."""
        if fault := self._images.owner_fault(image):
            raise SandboxFailed(f"the image {image.name} cannot be used: {fault}")
        return Root(
            words=("--rootfs", f"{image.root}:O"),
            shell=image.facts.shell,
            about=f"on the image {image.name} of {image.facts.made_at[:10]} (read-only; own"
            " processes, fewer system calls)",
            image=image.name,
            users=Users(_text(image, "etc/passwd"), _text(image, "etc/group")),
        )


def _text(image: Image, path: str) -> str:
    """Of a file of the image; it may be a link that leads out of there, which is not followed."""
    place = image.root / path
    if place.is_symlink() or not place.is_file():
        return ""
    return place.read_text(errors="replace")
