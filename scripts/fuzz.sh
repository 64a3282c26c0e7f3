#!/bin/sh
# Runs each fuzz target for the time given (10s), two at once for each processor: many wait for a database. A crash is kept by Go under
# testdata/fuzz, and fails. With "long": each parser for 500,000 executions, and each door, which has a database or connections
# behind it, for 20 minutes. With a package and a target besides, runs that one.
set -eu
cd "$(dirname "$0")/.."
time=${1:-10s}
if [ $# -eq 3 ]; then
	if [ "$time" = long ]; then
		case "$3" in
		FuzzREST | FuzzGraphQL | FuzzDoor | FuzzSettings | FuzzSocket | FuzzPlans) time=20m ;;
		*) time=500000x ;;
		esac
	fi
	run() { out=$(go test -run '^$' -fuzz "^$3\$" -fuzztime "$time" -fuzzminimizetime 1s -parallel 1 "$2" 2>&1); }
	# Before Go 1.27 the fuzzer at times takes the end of its own time for a failure (go.dev/issue/75804). It says so right below the
	# target's name, where a target's own failure has a place in a file. Such a run shows nothing, so there is another.
	ended() { printf '%s\n' "$out" | grep -F -A 1 -- "--- FAIL: $3 (" | grep -q -x '    context deadline exceeded'; }
	again() { ended "$@" && echo "fuzz $2 $3: once more, go took the end of its time for a failure" >&2 && run "$@"; }
	if ! run "$@" && ! again "$@"; then
		printf 'fuzz %s %s: FAILED\n%s\n' "$2" "$3" "$out"
		exit 255 # xargs stops
	fi
	printf '%s\n' "$out" | awk -v name="$2 $3" '/execs:/ { n = $0 } END { sub(/.*execs: /, "", n); sub(/ .*/, "", n); print "fuzz " name ": " n+0 " executions, no crash" }'
	exit 0
fi
found=$(git grep --untracked -o '^func Fuzz[A-Za-z0-9_]*' -- '*_test.go' | sed -E 's|^|./|; s|^(.*)/[^/]*:func (.*)$|\1 \2|' | sort)
[ -n "$found" ] || { echo "no fuzz target found" >&2; exit 1; }
said=$(mktemp)
trap 'rm -f "$said"' EXIT
# the status is that of xargs: what tee does cannot fail in a way that matters
{ printf '%s\n' "$found" | xargs -n 2 -P "$((2 * $(getconf _NPROCESSORS_ONLN)))" "$0" "$time" || echo FAILED; } | tee "$said"
! grep -q FAILED "$said" || exit 1
awk '{ n += $(NF-3) } END { print "fuzz: " NR " targets, " n " executions, no crash" }' "$said"
