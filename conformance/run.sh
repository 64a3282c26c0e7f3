#!/bin/sh
# Runs outside judges against the real server: run.sh [dredd] [openapi] [playground], by default all of them.
#
#   CI=true   what cannot be run here is a failure, not left out
#   SERVER    a binary to try instead of building one
#   KEEP      a folder to keep logs, generated clients and the screenshot in; by default they are kept on failure only
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$here")
bin=$here/node_modules/.bin
token=demo-username
oapi_codegen=github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2
export NODE_NO_WARNINGS=1 REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true GOWORK=off

for suite in "$@"; do
  case $suite in
  dredd | openapi | playground) ;;
  *) echo "usage: run.sh [dredd] [openapi] [playground]" >&2; exit 2 ;;
  esac
done
suites=" ${*:-dredd openapi playground} "

passed=0
failed=0
pid=
# The server, started as root, runs its database as another user, who must be able to pass through this folder.
work=$(mktemp -d "${TMPDIR:-/tmp}/conformance.XXXXXX")
chmod 711 "$work"

# stop ends the server, by force only if it does not end by itself; its status goes to $ended.
stop() {
  [ -n "$pid" ] || return 0
  kill "$pid" 2>/dev/null || true
  node -e 'setTimeout(() => { try { process.kill(+process.argv[1], "SIGKILL") } catch {} }, 30000)' "$pid" &
  guard=$!
  ended=0
  wait "$pid" || ended=$?
  kill "$guard" 2>/dev/null || true
  wait "$guard" 2>/dev/null || true
  pid=
}

cleanup() {
  status=$?
  trap - EXIT
  stop
  if [ -n "${KEEP:-}" ]; then
    rm -rf "$work/data" "$work/imagerequests"
    mkdir -p "$KEEP" && cp -R "$work/." "$KEEP"
  elif [ "$status" -ne 0 ]; then
    rm -rf "$work/data" "$work/imagerequests"
    echo "logs are in $work" >&2
    exit "$status"
  fi
  rm -rf "$work"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

pass() { passed=$((passed + 1)); echo "$1"; }
fail() { failed=$((failed + 1)); echo "$1"; }

# left_out tells why something is not run: good enough for a person's machine, a failure on CI.
left_out() {
  if [ "${CI:-}" = true ]; then fail "$1: FAILED: $2"; else echo "$1: left out: $2"; fi
}

# shown prints a log, indented, to explain a failure.
shown() { sed 's/^/    /' "$1" | tail -n 60; }

start_server() {
  server=${SERVER:-}
  if [ -z "$server" ]; then
    server=$work/imagerequests
    (cd "$root" && go build -o "$server" .)
  fi
  port=$(node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })')
  base=http://127.0.0.1:$port
  "$server" serve --demo --listen "127.0.0.1:$port" --data "$work/data" >"$work/server.log" 2>&1 &
  pid=$!
  deadline=$(($(date +%s) + 120))
  until node -e 'fetch(process.argv[1] + "/readyz").then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))' "$base"; do
    if ! kill -0 "$pid" 2>/dev/null || [ "$(date +%s)" -ge "$deadline" ]; then
      echo "the server did not become ready"
      shown "$work/server.log"
      exit 1
    fi
    sleep 0.2
  done
}

# Dredd's exit code alone is not believed: a blueprint that it cannot read is no failure to it.
run_dredd() {
  log=$work/dredd.log
  "$bin/dredd" "$root/rest/testdata/image_requests.apib" "$base" --no-color --hookfiles "$here/dredd-hooks.js" \
    --header "Authorization: Token $token" >"$log" 2>&1 && status=0 || status=$?
  counts=$(sed -n 's/^complete: \([0-9].*total\)$/\1/p' "$log")
  if [ "$status" -eq 0 ] && [ "$counts" = "3 passing, 0 failing, 0 errors, 0 skipped, 3 total" ]; then
    pass "dredd: 3 passing, 0 failing"
  else
    fail "dredd: FAILED: ${counts:-no counts}, exit code $status"
    # Of Dredd's report, what is wrong; the whole exchange stands in the log.
    sed -n '/^fail:/,/^request:/p; /^error:/p' "$log" | grep -v '^request:' >"$work/dredd.short" || cp "$log" "$work/dredd.short"
    shown "$work/dredd.short"
  fi
}

# openapi_step NAME COMMAND…: one judge of the document, its output in a log of its own.
openapi_step() {
  step=$1
  shift
  if "$@" >"$work/$step.log" 2>&1; then
    return 0
  fi
  fail "openapi: FAILED: $step"
  shown "$work/$step.log"
  return 1
}

run_openapi() {
  openapi_step fetch fetch_document &&
    openapi_step redocly lint_document &&
    openapi_step typescript typescript_client || return 0
  if [ "${CI:-}" != true ] && ! (cd "$here/goclient" && go mod download) >"$work/goclient.log" 2>&1; then
    pass "openapi: 0 errors, 0 warnings; the TypeScript client works; the Go client left out: its modules cannot be fetched"
    return 0
  fi
  openapi_step goclient go_client || return 0
  pass "openapi: 0 errors, 0 warnings; the TypeScript and the Go client compile and work"
}

fetch_document() {
  node -e 'fetch(process.argv[1] + "/openapi.json").then(async (r) => {
    if (r.status !== 200) throw new Error(`/openapi.json: status ${r.status}`);
    require("fs").writeFileSync(process.argv[2], await r.text());
  })' "$base" "$work/openapi.json"
}

lint_document() {
  "$bin/redocly" lint --config "$here/redocly.yaml" --max-problems 100 "$work/openapi.json" || return 1
  "$bin/redocly" lint --config "$here/redocly.yaml" --format json "$work/openapi.json" 2>/dev/null >"$work/redocly.json"
  node -e 'const { errors, warnings } = require(process.argv[1]).totals; process.exit(errors + warnings)' "$work/redocly.json"
}

typescript_client() {
  mkdir -p "$work/ts"
  cp "$here/client.ts" "$work/ts"
  "$bin/openapi-typescript" "$work/openapi.json" -o "$work/ts/schema.d.ts" &&
    "$bin/tsc" --strict --noEmitOnError --target es2022 --lib es2022,dom --module commonjs --moduleDetection force \
      "$work/ts/client.ts" && node "$work/ts/client.js" "$base" "$token"
}

go_client() (
  mkdir -p "$work/go/api"
  cp "$here/goclient/go.mod" "$here/goclient/go.sum" "$here/goclient/main.go" "$work/go"
  cd "$work/go" &&
    go run "$oapi_codegen" -package api -generate types,client -o api/api.go "$work/openapi.json" &&
    go vet ./... && go run . "$base" "$token"
)

run_playground() {
  if [ -z "${CHROMIUM:-}" ] && ! command -v chromium >/dev/null; then
    left_out playground "no chromium"
  elif node "$here/playground.js" "$base" "$work/playground.png" >"$work/playground.log" 2>&1; then
    pass "playground: $(tail -n 1 "$work/playground.log")"
  else
    fail "playground: FAILED"
    shown "$work/playground.log"
  fi
}

"$here/install.sh" || true # what is missing then is told below, suite by suite
if [ -x "$bin/dredd" ] && command -v node >/dev/null; then
  start_server
  # Always in this order: the playground's examples change the documented item.
  for suite in dredd openapi playground; do
    case $suites in *" $suite "*) "run_$suite" ;; esac
  done
  stop
  [ "$ended" -eq 0 ] || {
    fail "server: FAILED: told to stop, it ended with status $ended"
    shown "$work/server.log"
  }
else
  for suite in $suites; do
    left_out "$suite" "its packages are not installed"
  done
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
