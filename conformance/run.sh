#!/bin/sh
# Runs outside judges against the real server: run.sh [SUITE]…, by default all of them. README.md tells what each shows.
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
tsc="$bin/tsc --strict --noEmitOnError --target es2022 --lib es2022,dom --module commonjs --moduleDetection force"
export NODE_NO_WARNINGS=1 REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true GOWORK=off

# Always in this order: the playground's examples change the documented item. Streams has a server of its own, which it
# stops and kills, and goes on beside the others.
all="streams linters inspector dredd audits openapi codegen relay apollo urql genqlient playground"
suites=" ${*:-$all} "
for suite in "$@"; do
  case " $all " in
  *" $suite "*) ;;
  *) echo "usage: run.sh [SUITE]...   of $all" >&2; exit 2 ;;
  esac
done

passed=0
failed=0
pid= # of the server
beside= # of the suite that runs beside the others
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
  if [ -n "$beside" ]; then
    kill "$beside" 2>/dev/null || true
    wait "$beside" || true
  fi
  if [ -n "${KEEP:-}" ] || [ "$status" -ne 0 ]; then
    rm -rf "$work"/data "$work"/*.data "$work/imagerequests" "$work/node_modules"
  fi
  if [ -n "${KEEP:-}" ]; then
    mkdir -p "$KEEP" && cp -R "$work/." "$KEEP"
  elif [ "$status" -ne 0 ]; then
    echo "logs are in $work" >&2
    exit "$status"
  fi
  rm -rf "$work"
  exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# A suite prints what it has to say, and succeeds, fails, or answers 3 if it was left out.
pass() { echo "$1"; }
fail() { echo "$1"; return 1; }

# left_out tells why something is not run: good enough for a person's machine, a failure on CI.
left_out() {
  [ "${CI:-}" != true ] || fail "$1: FAILED: $2" || return 1
  echo "$1: left out: $2"
  return 3
}

# counted adds up how suites ended.
counted() {
  case $1 in
  0) passed=$((passed + 1)) ;;
  3) ;;
  *) failed=$((failed + 1)) ;;
  esac
}

# shown prints a log, indented, to explain a failure.
shown() { sed 's/^/    /' "$1" | tail -n 60; }

# judged SUITE COMMAND…: a judge whose last line tells what was shown.
judged() {
  suite=$1
  shift
  status=0
  "$@" >"$work/$suite.log" 2>&1 || status=$?
  told "$suite" "$status"
}

# told SUITE STATUS: how a judge ended, from its log.
told() {
  if [ "$2" -eq 0 ]; then
    pass "$1: $(tail -n 1 "$work/$1.log")"
  else
    echo "$1: FAILED"
    shown "$work/$1.log"
    return 1
  fi
}

build_server() {
  server=${SERVER:-}
  if [ -z "$server" ]; then
    server=$work/imagerequests
    (cd "$root" && go build -o "$server" .)
  fi
}

start_server() {
  "$server" serve --demo --listen 127.0.0.1:0 --data "$work/data" >"$work/server.log" 2>&1 &
  pid=$!
  deadline=$(($(date +%s) + 120))
  until
    base=$(sed -n 's,^ *GraphQL *\(http://.*\)/graphql$,\1,p' "$work/server.log")
    [ -n "$base" ] && node -e 'fetch(process.argv[1] + "/readyz").then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))' "$base"
  do
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
    echo "dredd: FAILED: ${counts:-no counts}, exit code $status"
    # Of Dredd's report, what is wrong; the whole exchange stands in the log.
    sed -n '/^fail:/,/^request:/p; /^error:/p' "$log" | grep -v '^request:' >"$work/dredd.short" || cp "$log" "$work/dredd.short"
    shown "$work/dredd.short"
    return 1
  fi
}

# openapi_step NAME COMMAND…: one judge of the document, its output in a log of its own.
openapi_step() {
  step=$1
  shift
  if "$@" >"$work/$step.log" 2>&1; then
    return 0
  fi
  echo "openapi: FAILED: $step"
  shown "$work/$step.log"
  return 1
}

run_openapi() {
  openapi_step fetch fetch_document &&
    openapi_step redocly lint_document &&
    openapi_step typescript typescript_client || return 1
  if [ "${CI:-}" != true ] && ! (cd "$here/goclient" && go mod download) >"$work/goclient.log" 2>&1; then
    pass "openapi: 0 errors, 0 warnings; the TypeScript client works; the Go client left out: its modules cannot be fetched"
    return 0
  fi
  openapi_step goclient go_client || return 1
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
    $tsc "$work/ts/client.ts" && node "$work/ts/client.js" "$base" "$token"
}

go_client() (
  mkdir -p "$work/go/api"
  cp "$here/goclient/go.mod" "$here/goclient/go.sum" "$here/goclient/main.go" "$work/go"
  cd "$work/go" &&
    go run "$oapi_codegen" -package api -generate types,client -o api/api.go "$work/openapi.json" &&
    go vet ./... && go run . "$base" "$token"
)

run_linters() { judged linters node "$here/linters.js"; }
run_inspector() { judged inspector node "$here/inspector.js"; }
run_audits() { judged audits node "$here/audits.js" "$base"; }
run_apollo() { judged apollo node "$here/apollo.js" "$base" "$token"; }
run_urql() { judged urql node "$here/urql.js" "$base" "$token"; }

run_codegen() { judged codegen codegen_client; }

codegen_client() (
  mkdir -p "$work/codegen"
  cp "$here/codegen/"* "$work/codegen"
  ln -sfn "$here/node_modules" "$work/node_modules"
  cd "$work/codegen" &&
    ENDPOINT=$base/graphql "$bin/graphql-codegen" --config codegen.ts &&
    $tsc --resolveJsonModule --esModuleInterop client.ts && node client.js "$base" "$token" &&
    node "$here/codegen/trusted.js" "$server" "$work/codegen.data" "$work/codegen.server.log" "$token" .
)

run_relay() { judged relay relay_client; }

relay_client() (
  mkdir -p "$work/relay"
  cp "$here/relay/documents.js" "$here/relay/relay.config.json" "$work/relay"
  cp "$root/schema.graphqls" "$work/relay/schema.graphql" # the only ending that relay-compiler reads
  cd "$work/relay" && "$bin/relay-compiler" relay.config.json &&
    node "$here/relay/page.js" "$base" "$token" "$work/relay/__generated__"
)

run_genqlient() {
  if [ "${CI:-}" != true ] && ! (cd "$here/genqlient" && go mod download) >"$work/genqlient.log" 2>&1; then
    left_out genqlient "its modules cannot be fetched"
    return
  fi
  judged genqlient genqlient_client
}

genqlient_client() (
  mkdir -p "$work/genqlient/api"
  cp "$here/genqlient/"* "$root/schema.graphqls" "$work/genqlient"
  cd "$work/genqlient" &&
    go tool genqlient genqlient.yaml && go vet ./... && go run . "$base" "$token"
)

run_playground() {
  if [ -z "${CHROMIUM:-}" ] && ! command -v chromium >/dev/null; then
    left_out playground "no chromium"
  else
    judged playground node "$here/playground.js" "$base" "$work/playground.png"
  fi
}

begin_streams() {
  node "$here/streams/run.js" "$server" "$work/streams.data" "$work/streams.server.log" >"$work/streams.log" 2>&1 &
  beside=$!
}

end_streams() {
  ended=0
  wait "$beside" || ended=$?
  beside=
  told streams "$ended" || true
  counted "$ended"
}

"$here/install.sh" || true # what is missing then is told below, suite by suite
if [ -x "$bin/dredd" ] && command -v node >/dev/null; then
  build_server
  case $suites in *" streams "*) begin_streams ;; esac
  start_server
  for suite in ${all#streams}; do
    case $suites in *" $suite "*)
      ended=0
      "run_$suite" || ended=$?
      counted "$ended"
      ;;
    esac
  done
  [ -z "$beside" ] || end_streams
  stop
  [ "$ended" -eq 0 ] || {
    echo "server: FAILED: told to stop, it ended with status $ended"
    shown "$work/server.log"
    counted 1
  }
else
  for suite in $suites; do
    ended=0
    left_out "$suite" "its packages are not installed" || ended=$?
    counted "$ended"
  done
fi
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
