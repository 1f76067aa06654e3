#!/bin/sh
# Install the Debian packages whose programs the tests drive and this machine lacks: sh packaging/debian.sh
# Where there is no apt-get, or not as root, the tests that need such a program are skipped with a message; where CI is set, that is a failure.
set -eu
packages="tmux xvfb xdotool dbus-x11 xfce4-panel dunst trayer python3-gi gir1.2-gtk-3.0 chromium postgresql"

command -v dpkg >/dev/null 2>&1 || exit 0
lacking=
for package in $packages; do
    dpkg -s "$package" >/dev/null 2>&1 || lacking="$lacking $package"
done
[ -n "$lacking" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "Some tests need Debian packages that are not installed. Install them: sudo apt-get install$lacking" >&2
    [ -z "${CI:-}" ] || exit 1
    exit 0
fi
apt-get update -qq
# shellcheck disable=SC2086
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $lacking >/dev/null
