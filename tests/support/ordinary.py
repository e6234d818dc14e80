"""Programs of an ordinary user, for whom it is a machine with /dev/net/tun for everybody.

The device is another file for the same thing, which nobody but the program and what it starts
sees, and so is /etc/resolv.conf; the machine's own stay as they are. Python, its packages and this
checkout are shown where that user may read them, wherever they lie.
"""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

USER = "nobody"
_CHECKOUT = Path(__file__).parents[2]
# Words: a directory for all that, the mode of the device, and the program.
_BECOME = """
set -e
cd "$1"
mount -t tmpfs -o mode=0755 tmpfs shown
mkdir shown/python shown/packages shown/checkout
mount --bind "$3" shown/python
mount --bind "$4" shown/packages
mount --bind "$5" shown/checkout
mknod shown/tun c 10 200
chmod "$2" shown/tun
mount --bind shown/tun /dev/net/tun
mount --bind resolv.conf /etc/resolv.conf
export HOME="$1/home" PYTHONPATH="$1/shown/checkout:$1/shown/packages" PYTHONDONTWRITEBYTECODE=1
export LD_LIBRARY_PATH="$1/shown/python/lib"
cd /
shift 5
exec setpriv --reuid=nobody --regid=nogroup --clear-groups -- "$@"
"""


def missing() -> str:
    """The programs that have to be installed; empty when they are there."""
    wanted = ("slirp4netns", "setpriv", "unshare", "bwrap")
    return ", ".join(one for one in wanted if shutil.which(one) is None)


def fault(place: Path) -> str:
    """Why there is no such user on this machine, whatever is installed; empty when there is."""
    *become, interpreter = python(place, names=())
    trial = 'exec 3<>/dev/net/tun && unshare --user --map-root-user true && exec "$0" -c "$1"'
    words = (*become, "sh", "-c", trial, interpreter, "import ssl, ciserver.cli.main")
    tried = subprocess.run(words, capture_output=True, check=False)
    return tried.stderr.decode().strip() if tried.returncode else ""


def python(place: Path, *, names: tuple[str, ...], mode: str = "0666") -> tuple[str, ...]:
    """Python as that user, whose name servers are these."""
    (place / "resolv.conf").write_text("".join(f"nameserver {one}\n" for one in names))
    for one in ("shown", "home"):
        (place / one).mkdir(exist_ok=True)
    shutil.chown(place / "home", USER)
    shown = (sys.base_prefix, sysconfig.get_path("purelib"), str(_CHECKOUT))
    interpreter = place / "shown/python/bin" / Path(sys.executable).resolve().name
    become = ("unshare", "--mount", "sh", "-c", _BECOME, "sh", str(place), mode, *shown)
    return (*become, str(interpreter))
