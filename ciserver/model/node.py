"""A server, among those that work on one database."""

from ciserver.model.frozen import frozen


@frozen
class Node:
    """`place` is the machine and data directory that it holds there, `storage` tells the directory
    of files from others, and `signs_with` is the key that its webhooks are signed with.
    """

    name: str
    place: str
    storage: str
    signs_with: str
