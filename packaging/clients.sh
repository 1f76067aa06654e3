#!/bin/sh
# Install the real agents that the tests drive, from npm as the machine configures it: sh packaging/clients.sh DIRECTORY
# Without npm the tests of real agents are skipped with a message; where CI is set, that is a failure.
set -eu
clients=$1

missing() {
    echo "No npm: the tests that drive real agents cannot run. Install nodejs and npm." >&2
    [ -z "${CI:-}" ] || exit 1
    exit 0
}

if ! command -v npm >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends nodejs npm || missing
    else
        missing
    fi
fi
mkdir -p "$clients"
npm install --silent --no-fund --no-audit --no-package-lock --prefix "$clients" opencode-ai@1.18.33 @openai/codex@0.169.0 || missing
touch "$clients/.installed"
