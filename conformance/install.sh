#!/bin/sh
# Installs what the conformance suites need: the locked npm packages and, on Debian as root, Chromium.
# With CI=true anything missing is a failure; otherwise one line says what will be left out, and why. run.sh calls it.
set -eu
cd "$(dirname "$0")"

missing=0
lacks() {
  echo "conformance: $1"
  missing=1
}

install_packages() {
  if ! command -v node >/dev/null || ! command -v npm >/dev/null; then
    lacks "all suites will be left out: install Node.js 20.19 or newer, with npm"
    return
  fi
  if ! node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 20 || a === 20 && b >= 19 ? 0 : 1)'; then
    lacks "all suites will be left out: they need Node.js 20.19 or newer, this is $(node --version)"
    return
  fi
  # npm writes this file last: it is newer than the lock only after a complete installation of it.
  if [ -n "$(find node_modules/.package-lock.json -newer package-lock.json 2>/dev/null)" ]; then
    return
  fi
  npm ci --ignore-scripts --no-audit --no-fund || lacks "all suites will be left out: npm ci failed"
}

install_chromium() {
  if [ -n "${CHROMIUM:-}" ] || command -v chromium >/dev/null; then
    return
  fi
  if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt=$(command -v apt-get)
    export DEBIAN_FRONTEND=noninteractive
    # The lists of a fresh image are empty or old: then they are fetched, and it is tried once more.
    $apt install -y -qq --no-install-recommends chromium || {
      $apt update -qq && $apt install -y -qq --no-install-recommends chromium
    } || lacks "the playground suite will be left out: apt-get could not install chromium"
    return
  fi
  lacks "the playground suite will be left out: no chromium (apt-get install chromium, or name a browser in CHROMIUM)"
}

install_packages
install_chromium
if [ "${CI:-}" = true ]; then
  exit "$missing"
fi
