package main

import (
	"fmt"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/uuid"

	"imagerequests/db/dbtest"
	"imagerequests/db/safedriver"
)

var uuids = regexp.MustCompile(`[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}`)

// urlOf is how an operator would name this database to the program.
func urlOf(cfg safedriver.Config) string {
	return fmt.Sprintf("host=%s dbname=%s user=%s password='%s'", filepath.Dir(cfg.Addr), cfg.Database, cfg.User, cfg.Password)
}

// till is a database to make tokens in: the environment or the flags that name it.
type till struct {
	env  map[string]string
	args []string
}

// create makes a token and fails unless its secret goes to standard output, alone, and nowhere else.
func (w till) create(t testing.TB, args ...string) (secret, id string) {
	t.Helper()
	out, log, err := w.command("create", args...)
	if err != nil {
		t.Fatalf("token create %v: %v\n%s", args, err, log)
	}
	secret = strings.TrimSuffix(out, "\n")
	if !regexp.MustCompile(`^[\w-]{43}\n$`).MatchString(out) {
		t.Errorf("token create prints %q, want a secret alone", out)
	}
	id = uuids.FindString(log)
	if strings.Contains(log, secret) || id == "" {
		t.Errorf("token create logs %s", log)
	}
	return secret, id
}

func (w till) command(name string, args ...string) (out, log string, err error) {
	return command(w.env, append(append([]string{"token", name}, w.args...), args...)...)
}

// line is what token list says of one token, its moments replaced by T.
func (w till) line(t testing.TB, id string, secrets ...string) string {
	t.Helper()
	out, log, err := w.command("list")
	if err != nil {
		t.Fatalf("token list: %v", err)
	}
	for _, secret := range secrets {
		if strings.Contains(out+log, secret) {
			t.Errorf("token list shows a secret: %s%s", out, log)
		}
	}
	for line := range strings.Lines(out) {
		if rest, ok := strings.CutPrefix(line, id+" "); ok {
			line = regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d`).ReplaceAllString(rest, "T")
			return strings.Join(strings.Fields(line), " ")
		}
	}
	return ""
}

// sell makes tokens, shows them to the service and revokes them. The service is reached through serve, which returns
// where it serves and how to end that; while no command may run beside it, it is asked for anew each time.
func (w till) sell(t *testing.T, serve func() (base string, end func())) {
	t.Helper()
	worker, workerID := w.create(t, "--user=robot", "--role=worker", "--role=REVIEWER", "--provider=1", "--provider=2", "--expires=720h")
	plain, plainID := w.create(t, "--user=josé", "--read-only")
	if got, want := w.line(t, workerID, worker, plain), "robot worker,reviewer 1,2 write T T - -"; got != want {
		t.Errorf("token list says %q, want %q", got, want)
	}
	if got, want := w.line(t, plainID), "josé requester - read T - - -"; got != want {
		t.Errorf("token list says %q, want %q", got, want)
	}

	base, end := serve()
	if a := viewer(t, base, worker); withoutCost(a.body) != `{"data":{"viewer":{"username":"robot","roles":["WORKER","REVIEWER"],"providers":[1,2]}}}` {
		t.Errorf("the service says of the worker: %d %s", a.status, a.body)
	}
	if a := viewer(t, base, plain); withoutCost(a.body) != `{"data":{"viewer":{"username":"josé","roles":["REQUESTER"],"providers":null}}}` {
		t.Errorf("the service says of the requester: %d %s", a.status, a.body)
	}
	if a := fetch(t, http.MethodPost, base+"/image_requests", plain, "{}"); a.status != http.StatusForbidden {
		t.Errorf("a token that may only read writes: %d %s", a.status, a.body)
	}
	end()

	for range 2 { // the second time it changes nothing
		if out, _, err := w.command("revoke", workerID); err != nil || out != "Token "+workerID+" for robot is revoked.\n" {
			t.Errorf("token revoke prints %q and ends with %v", out, err)
		}
	}
	if got, want := w.line(t, workerID, worker, plain), "robot worker,reviewer 1,2 write T T T"; strings.TrimSuffix(got[:len(got)-1], " ") != want {
		t.Errorf("token list says %q, want %q and when it was used last, if that was written down by now", got, want)
	}
	base, end = serve()
	for door, a := range map[string]answer{
		"GraphQL": viewer(t, base, worker), "REST": fetch(t, http.MethodGet, base+"/image_requests", worker, ""),
	} {
		if a.status != http.StatusUnauthorized || strings.Contains(a.body, worker) {
			t.Errorf("%s answers the bearer of a revoked token %d %s", door, a.status, a.body)
		}
	}
	if a := viewer(t, base, plain); a.status != http.StatusOK {
		t.Errorf("after another token was revoked, this one is answered %d %s", a.status, a.body)
	}
	end()
}

func TestTokensInADatabaseOfOnesOwn(t *testing.T) {
	t.Parallel()
	env := map[string]string{"DATABASE_URL": urlOf(dbtest.Empty(t))}
	till{env: env}.sell(t, func() (string, func()) {
		s := serveHere(t, env, "--listen=127.0.0.1:0")
		return s.base, func() { s.stop(t) }
	})
	out, _, err := till{env: env}.command("list")
	if used := regexp.MustCompile(`(?m)[\d:]{8}$`).FindAllString(out, -1); err != nil || len(used) != 2 {
		t.Errorf("both tokens were used when the service ended: %v\n%s", err, out)
	}
}

func TestTokensInAFolder(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	w := till{args: []string{"--data=" + dir}}
	w.sell(t, func() (string, func()) { // no server while the commands run
		p := startServer(t, dir)
		return p.base, func() { p.stop(t) }
	})
	p := startServer(t, dir)
	pid := postmaster(dir)
	w.sell(t, func() (string, func()) { return p.base, func() {} }) // beside the server
	if now := postmaster(dir); now != pid {
		t.Errorf("the commands beside the server left database server %d in the place of %d", now, pid)
	}
	p.stop(t)
}

func TestTokenRefusals(t *testing.T) {
	t.Parallel()
	w := till{env: map[string]string{"DATABASE_URL": urlOf(dbtest.Empty(t))}}
	for _, c := range []struct{ command, want string }{
		{"create", "--user"},
		{"create --user=", "user"},
		{"create --user=a\x00b", "user"},
		{"create --user=" + strings.Repeat("a", 151), "user"},
		{"create --user=ann --role=king", `"KING"`},
		{"create --user=ann --role=", "role"},
		{"create --user=ann --provider=1", "reviewers and workers only"},
		{"create --user=ann --role=admin --provider=1", "reviewers and workers only"},
		{"create --user=ann --role=worker --provider=one", "--provider"},
		{"create --user=ann --expires=soon", "--expires"},
		{"create --user=ann --expires=-1h", "--expires"},
		{"revoke", "<id>"},
		{"revoke robot", "token list"},
		{"revoke " + uuid.NewString(), "token list"},
	} {
		words := strings.Split(c.command, " ")
		out, log, err := w.command(words[0], words[1:]...)
		if err == nil || !strings.Contains(err.Error(), c.want) || out != "" {
			t.Errorf("token %q prints %q, logs %s and ends with %v; want an error with %q", c.command, out, log, err, c.want)
		}
	}
	if out, _, err := w.command("list"); err != nil || strings.Count(out, "\n") != 1 {
		t.Errorf("after nothing but refusals token list prints %q, %v", out, err)
	}
}
