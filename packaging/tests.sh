#!/bin/sh
# tests.sh BIN: runs the tests in two halves of about equal length at once, one with what starts processes, one with everything else.
# Ends with the summary of each half; exit code 1 if one fails.
set -u
bin=$1
guards="tests/e2e tests/proxy tests/review tests/cli tests/audit"
rest=$(mktemp)
ignored=$(for room in $guards; do printf ' --ignore=%s' "$room"; done)
# shellcheck disable=SC2086
"$bin/pytest" $ignored >"$rest" 2>&1 &
other=$!
# shellcheck disable=SC2086
"$bin/pytest" $guards
failed=$?
wait "$other" || failed=1
cat "$rest"
rm -f "$rest"
[ "$failed" -eq 0 ]
