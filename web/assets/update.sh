#!/bin/sh
# Fetches the playground's libraries again, exactly as they are embedded: by `npm pack`, in exact versions, each file
# checked against SHA256SUMS before anything here is replaced.
#
# To take another version, change it below, run `./update.sh --accept` once to write the new sums, look at the
# playground in a browser, and bring LICENSES.md up to date.
set -eu

GRAPHIQL=graphiql@4.1.2
REACT=react@18.2.0
REACT_DOM=react-dom@18.2.0

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# take PACKAGE FILE...: puts the files of one npm package into $work/files.
take() {
	package=$1
	shift
	rm -rf "$work/package"
	archive=$(cd "$work" && npm pack --silent "$package")
	tar -xzf "$work/$archive" -C "$work"
	for file in "$@"; do
		cp "$work/package/$file" "$work/files/"
	done
}

mkdir "$work/files"
take "$GRAPHIQL" graphiql.min.js graphiql.min.css
take "$REACT" umd/react.production.min.js
take "$REACT_DOM" umd/react-dom.production.min.js

cd "$work/files"
if [ "${1:-}" = --accept ]; then
	sha256sum -- *.css *.js >"$here/SHA256SUMS"
fi
sha256sum --check --strict "$here/SHA256SUMS"
for file in *; do
	gzip -9nc "$file" >"$here/$file.gz"
done
