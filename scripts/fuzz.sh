#!/bin/sh
# Runs each fuzz target for the time given (20s), as many at once as there are processors. A crash is kept by Go under
# testdata/fuzz, and fails. With a package and a target, runs that one.
set -eu
cd "$(dirname "$0")/.."
time=${1:-20s}
if [ $# -eq 3 ]; then
	if ! out=$(go test -run '^$' -fuzz "^$3\$" -fuzztime "$time" -parallel 1 "$2" 2>&1); then
		printf 'fuzz %s %s: FAILED\n%s\n' "$2" "$3" "$out"
		exit 255 # xargs stops
	fi
	printf '%s\n' "$out" | awk -v name="$2 $3" '/execs:/ { n = $0 } END { sub(/.*execs: /, "", n); sub(/ .*/, "", n); print "fuzz " name ": " n " executions, no crash" }'
	exit 0
fi
targets=$(git grep --untracked -h -o '^func Fuzz[A-Za-z0-9_]*' -- '*_test.go' | wc -l)
[ "$targets" -gt 0 ] || { echo "no fuzz target found" >&2; exit 1; }
git grep --untracked -o '^func Fuzz[A-Za-z0-9_]*' -- '*_test.go' |
	sed -E 's|^|./|; s|^(.*)/[^/]*:func (.*)$|\1 \2|' | sort |
	xargs -n 2 -P "$(getconf _NPROCESSORS_ONLN)" "$0" "$time"
echo "fuzz: $targets targets, no crash"
