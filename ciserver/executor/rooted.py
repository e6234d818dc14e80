"""Tasks in bubblewrap on the root file system of an image, in place of this machine's."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

from ciserver.executor.bubblewrap import (
    KERNEL_PLACES,
    RESOLVER,
    VAR_TMP,
    Bubblewrap,
    View,
    covers,
    shown,
)
from ciserver.executor.images import Image
from ciserver.executor.one_user import filter_program
from ciserver.executor.sandbox import Bind, Bounds
from ciserver.model.frozen import frozen

INSIDE = "/run/ciserver"
LayerKind = Literal["overlay", "copy", "none"]
# Nothing in it outlives the build, so nothing is written through to the disk (volatile): packages
# are installed twice as fast. Only a fresh `work` may follow such a mount.
_OVERLAY = (
    'cd "$1" && shift && rm -rf work && mkdir work && mount -t overlay overlay'
    ' -o lowerdir=lower,upperdir=upper,workdir=work,userxattr,volatile merged && exec "$@"'
)
_KEPT = {
    "overlay": "changes of it last to the end of the build",
    "copy": "a copy of it, which lasts to the end of the build",
    "none": "read-only",
}


@frozen
class Layer:
    """The root file system of one build, and the directory that holds what the build changes of
    its image; without one it changes nothing.
    """

    image: Image
    kind: LayerKind
    place: Path | None = None


class Rooted(Bubblewrap):
    """As `Bubblewrap`, with another root file system. Tasks are the user `build`; in a layer,
    `as_root` is the user root, for whom changes of owners are accepted and not made.
    """

    def __init__(self, host: Bubblewrap, layer: Layer) -> None:
        self.user = host.user
        self.readable, self.hidden = host.readable, host.hidden
        self.layer = layer
        self.shell = layer.image.facts.shell
        self.image = layer.image.name
        facts = layer.image.facts
        self.about = (
            f"bubblewrap on the image {layer.image.name} of {facts.made_at[:10]}"
            f" ({_KEPT[layer.kind]}; own processes and users)"
        )
        self._view = self._make_view()

    def as_root(self, *binds: Bind) -> "Rooted":
        """The same for the user root, who is shown more."""
        other = Rooted(self, self.layer)
        other.login = "root"
        other._view = replace(
            self._view,
            uid=0,
            mounts=(
                *self._view.mounts,
                *(word for one in binds for word in ("--ro-bind", str(one.source), one.target)),
            ),
        )
        return other

    def _make_view(self) -> View:
        root, outer = _root_of(self.layer)
        is_writable = self.layer.kind != "none"
        inside = self.layer.image.root
        # Where nothing can be made, only what has a place to be shown at is shown.
        readable = tuple(
            one for one in self.readable if is_writable or (inside / str(one).lstrip("/")).is_dir()
        )
        program = filter_program()
        own = () if is_writable else ("--tmpfs", VAR_TMP)
        return View(
            outer=outer,
            root=("--bind" if is_writable else "--ro-bind", root, "/"),
            mounts=(
                *KERNEL_PLACES,
                *own,
                *("--ro-bind-try", str(RESOLVER.resolve()), str(RESOLVER)),
                *shown(readable),
                *covers(readable, self.hidden, self.user),
            ),
            handed=(("--seccomp", program, ()),) if program else (),
            resolver=str(RESOLVER),
        )

    def _limiter(self, bounds: Bounds) -> list[str]:
        words = super()._limiter(bounds)
        has_it = words and (self.layer.image.root / words[0].lstrip("/")).is_file()
        return words if has_it else []


class Workshop(Bubblewrap):
    """As `Bubblewrap`, for making images: the user root, with all rights over what is its own.
    `mounts` come beside this machine's files, `root` in their place.
    """

    login = "root"

    def __init__(
        self, host: Bubblewrap, *, mounts: tuple[str, ...] = (), root: tuple[str, ...] = ()
    ) -> None:
        super().__init__(user=host.user, readable=host.readable, hidden=host.hidden)
        program = filter_program()
        self._view = replace(
            self._view,
            uid=0,
            root=root,
            mounts=("--cap-add", "ALL", *(KERNEL_PLACES if root else self._view.mounts), *mounts),
            handed=(("--seccomp", program, ()),) if program else (),
            closing=() if root else self._view.closing,
        )


def _root_of(layer: Layer) -> tuple[str, tuple[str, ...]]:
    """The directory to begin with, and the programs that make it ready."""
    if layer.place is None:
        return str(layer.image.root), ()
    if layer.kind == "copy":
        return str(layer.place / "root"), ()
    return str(layer.place / "merged"), overlay_words(layer.place)


def overlay_words(place: Path) -> tuple[str, ...]:
    """Programs that mount `merged`, where nobody else sees it, and run what follows them. The
    names of the directories stay out of the options, in which some characters mean something.
    """
    return (
        *("unshare", "--user", "--map-root-user", "--mount", "--"),
        *("sh", "-c", _OVERLAY, "sh", str(place)),
    )
