"""Every door by the name that stands in its address."""

from collections.abc import Mapping
from typing import Final

from ciserver.intake import generic, gitea, github, gitlab
from ciserver.intake.knock import Door

DOORS: Final[Mapping[str, Door]] = {
    "generic": generic,
    "github": github,
    "gitea": gitea,
    "forgejo": gitea,
    "gogs": gitea,
    "gitlab": gitlab,
}
