"""Scripts that run inside an image while it is made, for any sh."""

# Arguments: the text of `sudo`, and lines for apt's sources. Only what a shell has itself and
# mkdir, rm and chmod are used: a small image has no more.
TIDY = r"""
set -e
umask 022
mkdir -p /home/build /root /tmp /var/tmp /run /proc /dev /etc /usr/local/bin
others() {
  [ -f "$1" ] || return 0
  while IFS=: read -r name secret id rest || [ -n "$name" ]; do
    [ "$name" = build ] || [ "$id" = 1000 ] || [ -z "$name" ] ||
      printf '%s:%s:%s:%s\n' "$name" "$secret" "$id" "$rest"
  done <"$1"
}
has_root() { case "$1" in root:* | *"
root:"*) return 0 ;; esac; return 1; }
shell=/bin/sh
if command -v bash >/dev/null 2>&1; then shell=$(command -v bash); fi
users=$(others /etc/passwd) groups=$(others /etc/group)
has_root "$users" || users="root:x:0:0:root:/root:/bin/sh
$users"
has_root "$groups" || groups="root:x:0:
$groups"
rm -f /etc/passwd /etc/group
printf '%s\n' "$users" "build:x:1000:1000:build:/home/build:$shell" >/etc/passwd
printf '%s\n' "$groups" "build:x:1000:" >/etc/group
rm -f /etc/resolv.conf
: >/etc/resolv.conf
[ -s /etc/hosts ] || printf '127.0.0.1 localhost build\n::1 localhost\n' >/etc/hosts
for name in sudo doas; do
  rm -f /usr/local/bin/$name
  if command -v unshare >/dev/null 2>&1; then
    printf '%s' "$1" >/usr/local/bin/$name
    chmod 755 /usr/local/bin/$name
  fi
done
if command -v apt-get >/dev/null 2>&1; then
  mkdir -p /etc/apt/apt.conf.d /etc/apt/sources.list.d /usr/sbin
  printf 'APT::Sandbox::User "root";\nAcquire::Languages "none";\n' >/etc/apt/apt.conf.d/90one-user
  printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
  chmod 755 /usr/sbin/policy-rc.d
  # Where debootstrap had it from by itself, its updates are beside it.
  mirror=$(sed -n 's/^deb \([^ ]*\) .*/\1/p' /etc/apt/sources.list | head -n 1)
  if [ -n "$2" ] && [ -n "$mirror" ]; then
    printf 'deb %s %s main\n' "$mirror" "$2-updates" "$mirror-security" "$2-security" \
      >/etc/apt/sources.list.d/updates.list
  fi
fi
"""

FIND_OUT = """
if command -v bash >/dev/null 2>&1; then echo "bash=$(command -v bash)"; fi
if command -v apt-get >/dev/null 2>&1; then echo "apt=yes"; fi
"""

# So that builds only ask whether something is new. An archive that cannot be had now is no fault of
# the image.
FRESHEN = """
apt-get clean
apt-get -q update || echo 'warning: the lists of packages are not fresh'
"""

# Nothing inside can be another user, so there is no password to ask for and nobody to become but
# root: a user namespace in which the build is called so.
SUDO = r"""#!/bin/sh
# Runs a command as root of this build, for which nothing asks for a password.
while [ "$#" -gt 0 ]; do
  case $1 in
    --) shift; break ;;
    -u | --user)
      if [ "$2" != root ]; then
        echo "sudo: there is no user $2 to become in this sandbox, only root" >&2
        exit 1
      fi
      shift 2 ;;
    -g | -p | -C | -D | --group | --prompt | --chdir) shift 2 ;;
    -i | -s | --login | --shell) shell=yes; shift ;;
    -v | -k | -K | -l | --validate | --list) exit 0 ;;
    -*) shift ;;
    [A-Za-z_]*=*) export "$1"; shift ;;
    *) break ;;
  esac
done
export HOME=/root USER=root LOGNAME=root SUDO_USER=build SUDO_UID=1000 SUDO_GID=1000
if [ "${shell:-}" = yes ] || [ "$#" = 0 ]; then
  if [ "$#" = 0 ]; then set -- /bin/sh; else set -- /bin/sh -c "$*"; fi
fi
if [ "$(id -u)" = 0 ]; then exec "$@"; fi
exec unshare --user --map-root-user -- "$@"
"""
