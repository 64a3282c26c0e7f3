package main

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"imagerequests/db/dbtest"
)

// commandLines notes the command line of every process on this machine, as everybody may, until stop is called.
func commandLines() (stop func() map[string]bool) {
	seen := map[string]bool{}
	ending, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
			for _, name := range files {
				seen[commandLine(name)] = true
			}
			select {
			case <-ending:
				return
			case <-time.After(25 * time.Millisecond):
			}
		}
	}()
	return func() map[string]bool {
		close(ending)
		<-ended
		return seen
	}
}

func commandLine(file string) string {
	text, _ := os.ReadFile(file)
	return strings.ReplaceAll(string(text), "\x00", " ")
}

// unpacked is all that a backup holds.
func unpacked(t testing.TB, name string) string {
	t.Helper()
	a := stored(t, name)
	var text strings.Builder
	fmt.Fprintf(&text, "%+v", a.Manifest)
	for _, table := range a.Manifest.Tables {
		rows, err := a.Rows(table.Name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(&text, rows); err != nil {
			t.Fatal(err)
		}
		_ = rows.Close()
	}
	return text.String()
}

func TestSecretsAreNotSeenByOthers(t *testing.T) {
	t.Parallel()
	stop := commandLines()
	dir := folder(t)
	address := free(t)
	p := startServer(t, dir, "--verbose", "--demo", "--metrics="+address)
	maker := launch(t, nil, "token", "create", "--verbose", "--user=ann", "--data="+dir)
	making := commandLine(fmt.Sprintf("/proc/%d/cmdline", maker.cmd.Process.Pid)) // too short a life to be met by chance
	if code := maker.wait(t); code != 0 {
		t.Fatalf("token create ends with %d: %s", code, maker.err)
	}
	token := strings.TrimSpace(maker.out.String())

	show := func() {
		for _, sent := range []string{token, token + " " + token, "x" + token, "demo-admin"} {
			viewer(t, p.base, sent)
			fetch(t, http.MethodGet, p.base+"/image_requests", sent, "")
			fetch(t, http.MethodPost, p.base+"/image_requests", sent, `{"name": 7}`, "Idempotency-Key: "+token)
		}
	}
	show()
	killed := killPostmaster(t, dir) // for what is logged of errors
	show()
	eventually(t, "the service is ready again", func() bool { // what it had open may have outlived the postmaster for a moment
		return !slices.Contains([]int{0, killed}, postmaster(dir)) && ready(t, p.base)
	})
	show()

	metrics := fetch(t, http.MethodGet, "http://"+address+"/metrics", token, "").body
	kept := filepath.Join(t.TempDir(), "b.zip")
	saver := launch(t, nil, "backup", "--verbose", "--data="+dir, kept)
	saving := commandLine(fmt.Sprintf("/proc/%d/cmdline", saver.cmd.Process.Pid))
	if code := saver.wait(t); code != 0 {
		t.Fatalf("backup ends with %d: %s", code, saver.err)
	}

	cfg := dbtest.Empty(t)
	own := launch(t, []string{"DATABASE_URL=" + urlOf(cfg)}, "serve", "--listen=127.0.0.1:0", "--verbose")
	eventually(t, "the server serves over a database of one's own", func() bool { return greeted(own.out) != "" || own.ended() })
	wrong := launch(t, []string{"DATABASE_URL=" + strings.Replace(urlOf(cfg), "dbname=", "dbname=no", 1)}, "migrate", "--verbose")
	wrong.wait(t)
	const unlikely = "a-password-that-is-nobody's" // by the variable of its own, and never asked for
	apart := launch(t, []string{"DATABASE_URL=postgres://someone@localhost:1/name", "PGPASSWORD=" + unlikely}, "token", "list", "--verbose")
	apart.wait(t)
	own.stop(t)
	p.stop(t)

	password, err := os.ReadFile(filepath.Join(dir, "pg", "password"))
	if err != nil {
		t.Fatal(err)
	}
	log, err := os.ReadFile(filepath.Join(dir, "pg", "postgres.log"))
	if err != nil {
		t.Fatal(err)
	}
	lines := stop()
	lines[making], lines[saving] = true, true
	secrets := []string{strings.TrimSpace(string(password)), cfg.Password, token, unlikely}
	for _, secret := range secrets {
		if len(secret) < 20 {
			t.Fatalf("a secret of %d characters is none", len(secret))
		}
		for line := range lines {
			if strings.Contains(line, secret) {
				t.Errorf("the process list shows the secret %s: %s", secret, line)
			}
		}
		for name, text := range map[string]string{
			"log": p.err.String() + maker.err.String() + own.err.String() + wrong.err.String() + apart.err.String() + saver.err.String(), "Postgres log": string(log),
			"greeting": p.out.String() + own.out.String() + apart.out.String() + saver.out.String(), "metrics": metrics, "backup": unpacked(t, kept),
		} {
			if strings.Contains(text, secret) {
				t.Errorf("the %s shows the secret %s: %s", name, secret, text)
			}
		}
	}
	for _, word := range []string{"initdb", "postgres -D " + dir, "token create"} {
		if !strings.Contains(strings.Join(slices.Collect(maps.Keys(lines)), "\n"), word) {
			t.Errorf("no process of %q was seen, so that nothing is shown", word)
		}
	}
	if !strings.Contains(metrics, "imagerequests_requests_total") || !strings.Contains(unpacked(t, kept), "TOKEN_CREATED") || apart.cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("metrics, backup or refusal did not come: %s%s", metrics, apart.err)
	}
	if !strings.Contains(p.err.String(), "the database server died") || wrong.cmd.ProcessState.ExitCode() != 1 {
		t.Errorf("the errors did not come: %s%s", p.err, wrong.err)
	}
}
