"""How sources that are sent in to a jobset are built, and for which systems."""

from ciserver.model.frozen import frozen


@frozen
class SourceSettings:
    """What the scripts that build sources are told of the project. `network` is for sources that
    come without a word on it; `makes_index` asks for an index of the packages that are made.
    """

    instructions: str = ""
    contact: str = ""
    repositories: tuple[str, ...] = ()
    network: bool = True
    makes_index: bool = True


@frozen
class SourceSystem:
    """A system that the sources of a jobset are built for, with the packages that are to be there
    for that; `comps` is a list of groups of packages, in a file called `comps_name`.
    """

    system: str
    packages: tuple[str, ...] = ()
    comps: str = ""
    comps_name: str = ""


@frozen
class Origin:
    """The source that a build was made of: a file, sent in or behind `url`. `version` has the
    release with it, and is empty where the name does not tell it.
    """

    name: str
    url: str = ""
    version: str = ""
    repositories: tuple[str, ...] = ()
