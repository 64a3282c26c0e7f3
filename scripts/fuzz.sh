#!/bin/sh
# Runs each fuzz target for the time given (10s), two at once for each processor: many wait for a database. A crash is kept by Go under
# testdata/fuzz, and fails. With "long": each parser for 500,000 executions, and each door, which has a database or connections
# behind it, for 20 minutes. With a package and a target besides, runs that one.
set -eu
cd "$(dirname "$0")/.."
time=${1:-10s}
if [ $# -eq 3 ]; then
	package=$2 target=$3
	if [ "$time" = long ]; then
		case "$target" in
		FuzzREST | FuzzGraphQL | FuzzDoor | FuzzSettings | FuzzSocket | FuzzPlans) time=20m ;;
		*) time=500000x ;;
		esac
	fi
	run() { out=$(go test -run '^$' -fuzz "^$target\$" -fuzztime "$1" -fuzzminimizetime 1s -parallel 1 "$package" 2>&1); }
	failed() {
		printf 'fuzz %s %s: FAILED\n%s\n' "$package" "$target" "$out"
		exit 255 # xargs stops
	}
	# Go before 1.27 at times takes the end of its own time for a failure (go.dev/issue/75804). It says so right below the target's
	# name, where a failure of the target's has a place in a file.
	late() { printf '%s\n' "$out" | grep -F -A 1 -- "--- FAIL: $target (" | grep -q -x '    context deadline exceeded'; }
	executions() { printf '%s\n' "$out" | awk '/execs:/ { n = $0 } END { sub(/.*execs: /, "", n); sub(/ .*/, "", n); print n+0 }'; }
	run "$time" || late || failed
	# Nor does a run show anything whose time went into reading what earlier ones kept. To count knows no deadline, and begins after it.
	if late || [ "$(executions)" -eq 0 ]; then
		echo "fuzz $package $target: $time did not suffice, 2000 executions instead" >&2
		run 2000x || failed
	fi
	echo "fuzz $package $target: $(executions) executions, no crash"
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
