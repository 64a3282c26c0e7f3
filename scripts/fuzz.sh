#!/bin/sh
# Runs each fuzz target for the time given (20s), one after the other. A crash is kept by Go under testdata/fuzz, and fails.
set -eu
cd "$(dirname "$0")/.."
time=${1:-20s}
targets=0
for package in $(git grep -l --untracked '^func Fuzz' -- '*_test.go' | xargs -n 1 dirname | sort -u); do
	for target in $(go test -list '^Fuzz' "./$package" | grep '^Fuzz'); do
		printf 'fuzz %s %s: ' "$package" "$target"
		if ! out=$(go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" "./$package" 2>&1); then
			printf 'FAILED\n%s\n' "$out"
			exit 1
		fi
		printf '%s\n' "$out" | awk '/execs:/ { n = $0 } END { sub(/.*execs: /, "", n); sub(/ .*/, "", n); print n " executions, no crash" }'
		targets=$((targets + 1))
	done
done
if [ "$targets" -eq 0 ]; then
	echo "no fuzz target found" >&2
	exit 1
fi
