package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"

	"imagerequests/db/dbtest"
)

// everyDatabase are the settings of each command that works on the database, flag and variable.
var everyDatabase = []string{
	"--data=", "by default data", "$IMAGEREQUESTS_DATA", "--database-url=", "$DATABASE_URL", "--postgres-bin=", "$IMAGEREQUESTS_POSTGRES_BIN",
	"-v, --verbose", "$IMAGEREQUESTS_VERBOSE",
}

func TestHelpTellsEverySetting(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		command string
		want    []string
	}{
		{"", []string{"serve", "migrate", "backup", "restore", "token create", "token list", "token revoke", "version"}},
		{"serve", append([]string{
			"--listen=", "$IMAGEREQUESTS_LISTEN", "by default 127.0.0.1:8080", "--demo", "--prefix=", "$IMAGEREQUESTS_PREFIX",
			"--base-url=", "$IMAGEREQUESTS_BASE_URL", "--host=", "$IMAGEREQUESTS_HOSTS", "--trusted-proxy=",
			"$IMAGEREQUESTS_TRUSTED_PROXIES", "--origin=", "$IMAGEREQUESTS_ORIGINS", "--rate=100", "$IMAGEREQUESTS_RATE",
			"--burst=500", "$IMAGEREQUESTS_BURST", "--no-introspection", "$IMAGEREQUESTS_NO_INTROSPECTION", "--trusted-documents=",
			"$IMAGEREQUESTS_TRUSTED_DOCUMENTS", "--tls-cert=", "$IMAGEREQUESTS_TLS_CERT", "--tls-key=", "$IMAGEREQUESTS_TLS_KEY",
			"--metrics=", "$IMAGEREQUESTS_METRICS",
		}, everyDatabase...)},
		{"migrate", everyDatabase},
		{"backup", append([]string{"<file>"}, everyDatabase...)},
		{"restore", append([]string{"<file>", "--check"}, everyDatabase...)},
		{"token", []string{"token create", "token list", "token revoke"}},
		{"token create", append([]string{"--user=", "--role=", "--provider=", "--expires=", "--read-only", "requester, reviewer, worker or admin", "by default requester"}, everyDatabase...)},
		{"token list", everyDatabase},
		{"token revoke", append([]string{"<id>"}, everyDatabase...)},
		{"version", nil},
	} {
		help, log, err := command(nil, append(strings.Fields(c.command), "--help")...)
		if err != nil || log != "" || !strings.Contains(help, "Usage: imagerequests "+c.command) {
			t.Errorf("%s --help ends with %v and prints %s%s", c.command, err, help, log)
		}
		help = strings.Join(strings.Fields(help), " ") // however it is wrapped
		for _, want := range c.want {
			if !strings.Contains(help, want) {
				t.Errorf("%s --help does not tell %s: %s", c.command, want, help)
			}
		}
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	if out, _, err := command(nil, "version"); err != nil || !strings.HasPrefix(out, "imagerequests "+release+" go1.") {
		t.Errorf("version prints %q, %v", out, err)
	}
}

func TestRefusedSettings(t *testing.T) {
	t.Parallel()
	const password = "hunter-2-and-more"
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	away := urlOf(dbtest.Empty(t)) + "-" // another password's quote, which is never reached
	for _, c := range []struct {
		command string
		url     string
		want    string
	}{
		{command: "work --provider=1 --simulate=1s", url: urlOf(dbtest.Empty(t)), want: "no provider 1, nor any other; an admin adds one"},
		{command: "work --provider=1 --simulate=1s --user=", want: "--user"},
		{command: "work --provider=1 --simulate=1s --user=a\x7fb", want: "--user"},
		{command: "work --provider=1 --simulate=1s --failures=NaN", want: "--failures"},
		{command: "work --provider=1 --simulate=1s --failures=1.5", want: "--failures"},
		{command: "serve --demo --listen=0.0.0.0:0", want: "loopback"},
		{command: "serve --demo --listen=[::]:0", want: "loopback"},
		{command: "serve --demo --listen=127.0.0.1:0 --host=images.example.org", want: "--host"},
		{command: "serve --demo --listen=127.0.0.1:0 --trusted-proxy=10.0.0.0/8", want: "--trusted-proxy"},
		{command: "serve --demo --listen=:0", want: "loopback"},
		{command: "serve --demo --listen=192.0.2.1:0", want: "loopback"},
		{command: "serve --demo --listen=images.example.org:0", want: "loopback"},
		{command: "serve --demo --listen=localhost.example.org:0", want: "loopback"},
		{command: "serve --demo --listen=127.0.0.1.example.org:0", want: "loopback"},
		{command: "serve --listen=127.0.0.1", want: "HOST:PORT"},
		{command: "serve --listen=::1:80", want: "HOST:PORT"},
		{command: "serve --listen=127.0.0.1:99999", want: "--listen"},
		{command: "serve --listen=127.0.0.1:odd", want: "--listen"},
		{command: "serve --listen=" + taken.Addr().String(), want: "address already in use"},
		{command: "serve --rate=-1", want: "--rate is a number from 0"},
		{command: "serve --rate=NaN", want: "--rate is a number from 0"},
		{command: "serve --rate=Inf", want: "--rate is a number from 0"},
		{command: "serve --rate=many", want: "--rate"},
		{command: "serve --burst=0", want: "--burst from 1"},
		{command: "serve --at-once=-1", want: "--at-once is a number"},
		{command: "serve --drain=-1s", want: "--drain a time"},
		{command: "serve --trusted-documents=/nothing/here.json", want: "--trusted-documents"},
		{command: "serve --trusted-documents=go.mod", want: "not a JSON object of documents"},
		{command: "serve --metrics=9090", want: "HOST:PORT"},
		{command: "serve --prefix=api", want: "/api/v1"},
		{command: "serve --prefix=/api/", want: "/api/v1"},
		{command: "serve --prefix=/a/../b", want: "/api/v1"},
		{command: "serve --base-url=images.example.org", want: "https://images.example.org"},
		{command: "serve --base-url=https://images.example.org?a=b", want: "https://images.example.org"},
		{command: "serve --host=images.example.org/path", want: "images.example.org:8080"},
		{command: "serve --trusted-proxy=0.0.0.0/0", want: "trust everybody"},
		{command: "serve --trusted-proxy=proxy", want: "--trusted-proxy"},
		{command: "serve --origin=portal.example.org", want: "https://app.example.org"},
		{command: "serve --nonsense", want: "--nonsense"},
		{command: "serve --database_url=postgres://user:" + password + "@localhost/name", want: "--database-url"},
		{command: "", want: "--help"},
		{command: "server", want: "serve"},
		{command: "token", want: "create"},
		{command: "migrate", url: "postgres://user:" + password + "@db.example.org/name", want: "sslmode=verify-full"},
		{command: "token list", url: "postgres://user:" + password + "@192.0.2.1/name?sslmode=require", want: "sslmode=verify-full"},
		{command: "serve", url: "host=db.example.org password=" + password, want: "sslmode=verify-full"},
		{command: "serve --listen=127.0.0.1:0", url: "postgres://user:" + password + "@localhost:1/name", want: "127.0.0.1:1"},
		{command: "migrate", url: "postgres://user:" + password + "/@localhost/name", want: "%2F"},
		{command: "migrate", url: "postgres://user:" + password + "@localhost/name?pasword=" + password, want: "pasword"},
		{command: "migrate", url: "mysql://user:" + password + "@localhost/name", want: "postgres://"},
		{command: "migrate", url: password, want: "postgres://"},
		{command: "migrate", url: away, want: "DATABASE_URL"},
	} {
		env := map[string]string{"DATABASE_URL": c.url, "IMAGEREQUESTS_DATA": "/dev/null/data"}
		out, log, err := command(env, strings.Fields(c.command)...)
		if err == nil || !strings.Contains(err.Error(), c.want) || out != "" {
			t.Errorf("%s: over %q prints %s and ends with %v, want an error with %q", c.command, c.url, out, err, c.want)
			continue
		}
		if strings.Contains(err.Error()+log, password) {
			t.Errorf("%s: a password is told: %v %s", c.command, err, log)
		}
	}
}

func TestDemoOnLoopback(t *testing.T) {
	t.Parallel()
	env := map[string]string{"DATABASE_URL": urlOf(dbtest.Empty(t))}
	for _, host := range []string{"127.0.0.1", "127.1.2.3", "localhost", "[::1]"} {
		if probe, err := net.Listen("tcp", host+":0"); err != nil {
			t.Logf("this machine has no %s: %v", host, err)
			continue
		} else if err := probe.Close(); err != nil {
			t.Fatal(err)
		}
		s := serveHere(t, env, "--demo", "--listen="+host+":0")
		if a := viewer(t, s.base, "demo-admin"); !strings.Contains(a.body, `"ADMIN"`) {
			t.Errorf("on %s a demo token is answered %d %s", host, a.status, a.body)
		}
		for _, word := range []string{"demo-username", "/playground", "/image_requests/bdc31c14-"} {
			if !strings.Contains(s.out.String(), word) {
				t.Errorf("the greeting does not name %s: %s", word, s.out)
			}
		}
		s.stop(t)
	}
}

// Each setting is seen by what it does.
func TestSettingsComeFromTheEnvironmentUnlessFlagged(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Empty(t)
	env := map[string]string{
		"DATABASE_URL": urlOf(cfg), "IMAGEREQUESTS_LISTEN": "127.0.0.1:0", "IMAGEREQUESTS_PREFIX": "/env",
		"IMAGEREQUESTS_BASE_URL": "https://env.example.org", "IMAGEREQUESTS_ORIGINS": "https://a.example.org,https://b.example.org",
		"IMAGEREQUESTS_RATE": "1", "IMAGEREQUESTS_BURST": "777", "IMAGEREQUESTS_VERBOSE": "true",
		"IMAGEREQUESTS_DATA": "/dev/null/data", "IMAGEREQUESTS_POSTGRES_BIN": "/nowhere", // are not for a database of one's own
	}
	s := serveHere(t, env, "--demo")
	a := fetch(t, http.MethodGet, s.base+"/env/image_requests?page_size=1", "", "", "Origin: https://b.example.org")
	if a.status != http.StatusOK || !strings.Contains(a.body, `"next":"https://env.example.org/env/image_requests?`) {
		t.Errorf("prefix and base URL: %d %s", a.status, a.body)
	}
	if got := a.header.Get("Access-Control-Allow-Origin"); got != "https://b.example.org" {
		t.Errorf("origins: %q may call", got)
	}
	if got := a.header.Get("RateLimit-Limit"); got != "777" {
		t.Errorf("burst: %s", got)
	}
	s.stop(t)

	env["IMAGEREQUESTS_LISTEN"], env["DATABASE_URL"] = "192.0.2.1:1", "mysql://"
	s = serveHere(t, env, "--demo", "--listen=127.0.0.1:0", "--database-url="+urlOf(cfg), "--prefix=/flag", "--base-url=http://flag.example.org",
		"--origin=https://c.example.org", "--burst=888")
	a = fetch(t, http.MethodGet, s.base+"/flag/image_requests?page_size=1", "", "", "Origin: https://c.example.org")
	if a.status != http.StatusOK || !strings.Contains(a.body, `"next":"http://flag.example.org/flag/image_requests?`) {
		t.Errorf("prefix and base URL by flag: %d %s", a.status, a.body)
	}
	if got := a.header.Get("Access-Control-Allow-Origin"); got != "https://c.example.org" {
		t.Errorf("origin by flag: %q may call", got)
	}
	if got := a.header.Get("RateLimit-Limit"); got != "888" {
		t.Errorf("burst by flag: %s", got)
	}
}

func TestHostsAndProxiesComeFromTheEnvironmentUnlessFlagged(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Config(t)
	if err := dbtest.Open(t, cfg).LoadDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{
		"DATABASE_URL": urlOf(cfg), "IMAGEREQUESTS_LISTEN": "127.0.0.1:0", "IMAGEREQUESTS_RATE": "0",
		"IMAGEREQUESTS_HOSTS": "one.example.org,two.example.org", "IMAGEREQUESTS_TRUSTED_PROXIES": "10.0.0.0/8,127.0.0.0/8",
	}
	for _, c := range []struct {
		flags      []string
		host, link string
	}{
		{nil, "two.example.org", "https://two.example.org/image_requests?"},
		{[]string{"--host=three.example.org", "--host=four.example.org"}, "four.example.org", "https://four.example.org/image_requests?"},
		{[]string{"--host=three.example.org"}, "two.example.org", "/image_requests?"},
		{[]string{"--trusted-proxy=10.0.0.0/8", "--trusted-proxy=192.168.0.0/16"}, "two.example.org", "http://127.0.0.1:"},
	} {
		s := serveHere(t, env, c.flags...)
		a := fetch(t, http.MethodGet, s.base+"/image_requests?page_size=1", "", "", "X-Forwarded-Host: "+c.host, "X-Forwarded-Proto: https")
		var page struct{ Next string }
		if err := json.Unmarshal([]byte(a.body), &page); err != nil || !strings.HasPrefix(page.Next, c.link) {
			t.Errorf("%v: the next page is said to be %q, %v, want %s", c.flags, page.Next, err, c.link)
		}
		if a.header.Get("RateLimit-Limit") != "" {
			t.Errorf("rate 0 is a limit: %v", a.header)
		}
		s.stop(t)
	}
}

func TestDataFolderComesFromTheEnvironmentUnlessFlagged(t *testing.T) {
	t.Parallel()
	blocked := folder(t) + "/file"
	if err := os.WriteFile(blocked, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"IMAGEREQUESTS_DATA": blocked, "IMAGEREQUESTS_POSTGRES_BIN": "/nowhere"}
	if _, _, err := command(env, "migrate"); err == nil || !strings.Contains(err.Error(), blocked) {
		t.Errorf("the folder of the environment: %v", err)
	}
	if _, _, err := command(env, "migrate", "--data="+folder(t)); err == nil || !strings.Contains(err.Error(), "/nowhere") {
		t.Errorf("the programs of the environment: %v", err)
	}
	if _, _, err := command(env, "migrate", "--data="+folder(t), "--postgres-bin=/elsewhere"); err == nil || !strings.Contains(err.Error(), "/elsewhere") {
		t.Errorf("the programs of the flag: %v", err)
	}
}

// What main adds to run: it tells the error, and its exit code is not 0.
func TestMainTellsTheError(t *testing.T) {
	t.Parallel()
	p := launch(t, nil, "serve", "--prefix=odd")
	if code := p.wait(t); code != 1 || !strings.HasPrefix(p.err.String(), "imagerequests: ") || p.out.String() != "" {
		t.Errorf("exit code %d, %s%s", code, p.out, p.err)
	}
	p = launch(t, nil, "version")
	if code := p.wait(t); code != 0 || p.err.String() != "" || !strings.HasPrefix(p.out.String(), "imagerequests ") {
		t.Errorf("exit code %d, %s%s", code, p.out, p.err)
	}
}

// A start that is called off ends soon, and is an error.
func TestStartIsCalledOff(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	dir := folder(t)
	err := run(ctx, []string{"serve", "--listen=127.0.0.1:0", "--data=" + dir}, func(string) string { return "" }, &bytes.Buffer{}, &bytes.Buffer{})
	if err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
		t.Errorf("it ends with %v", err)
	}
	if _, _, err := command(nil, "migrate", "--data="+dir); err != nil {
		t.Errorf("after that the folder is not to be used: %v", err)
	}
}
