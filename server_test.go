package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"imagerequests/db/dbtest"
	"imagerequests/db/safedriver"
)

// It is no parallel test, so that no other of this package runs beside it. One that is late is tried once more: a server that is
// slow is slow again.
func TestStartsSoon(t *testing.T) {
	starts := []struct {
		name  string
		limit time.Duration
		args  []string
	}{{"cold", 10 * time.Second, []string{"--demo"}}, {"warm", 3 * time.Second, nil}}
	best := []time.Duration{time.Hour, time.Hour}
	for tries := 0; tries < 2 && (best[0] > starts[0].limit || best[1] > starts[1].limit); tries++ {
		dir := folder(t)
		for i, start := range starts {
			began := time.Now()
			p := startServer(t, dir, start.args...)
			eventually(t, "the server is ready", func() bool { return ready(t, p.base) })
			took := time.Since(began)
			best[i] = min(best[i], took)
			t.Logf("a %s start took %v", start.name, took.Round(time.Millisecond))
			want := http.StatusOK
			if start.args == nil {
				want = http.StatusUnauthorized // the folder was a demonstration, this process is none
			}
			for token := range demoTokens {
				if a := viewer(t, p.base, token); a.status != want {
					t.Errorf("the %s server answers the bearer of %s with %d %s", start.name, token, a.status, a.body)
				}
			}
			p.stop(t)
		}
	}
	for i, start := range starts {
		if best[i] > start.limit {
			t.Errorf("a %s start may take %v", start.name, start.limit)
		}
	}
}

// No parallel test either: it would see the goroutines of others.
func TestNothingIsLeftBehind(t *testing.T) {
	before := goleak.IgnoreCurrent()
	dir := folder(t)
	s := serveHere(t, nil, "--listen=127.0.0.1:0", "--demo", "--data="+dir)
	for _, path := range []string{"/readyz", "/image_requests", "/playground", "/openapi.json", "/graphql?query={providers{id}}"} {
		if a := fetch(t, http.MethodGet, s.base+path, "", ""); a.status != http.StatusOK {
			t.Errorf("%s answers %d %s", path, a.status, a.body)
		}
	}
	pid := postmaster(dir)
	if pid == 0 {
		t.Error("no database server is found while the service runs")
	}
	socket := connect(t, s.base, "demo-username")
	s.stop(t)
	socket.closes(t, 1012)
	if alive(pid) {
		t.Errorf("the database server, process %d, is left behind", pid)
	}
	for _, args := range [][]string{
		{"token", "list"}, {"token", "create", "--user=a", "--role=king"}, {"serve", "--listen=127.0.0.1:0", "--prefix=odd"},
	} {
		_, _, err := command(nil, append(args, "--data="+dir)...)
		if (err == nil) != (args[1] == "list") {
			t.Errorf("%v ends with %v", args, err)
		}
		if pid := postmaster(dir); pid != 0 {
			t.Errorf("%v leaves the database server, process %d, behind", args, pid)
		}
	}
	browser.CloseIdleConnections()
	goleak.VerifyNone(t, before)
}

func TestOneServerAFolder(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	first := startServer(t, dir)
	pid := postmaster(dir)
	second := launch(t, nil, "serve", "--listen=127.0.0.1:0", "--data="+dir)
	if code := second.wait(t); code != 1 {
		t.Errorf("the second server ends with %d", code)
	}
	said := second.err.String()
	if !strings.Contains(said, dir) || !strings.Contains(said, "process "+strconv.Itoa(first.cmd.Process.Pid)+" ") {
		t.Errorf("process %d serves %s, and the second server says: %s", first.cmd.Process.Pid, dir, said)
	}
	if second.out.String() != "" {
		t.Errorf("the second server prints %s", second.out)
	}
	if !ready(t, first.base) {
		t.Error("the first server is no longer ready")
	}
	if now := postmaster(dir); now != pid {
		t.Errorf("its database server was process %d, and is %d", pid, now)
	}
	first.stop(t)
}

// slowly is a request whose body has not all been sent yet.
type slowly struct {
	conn net.Conn
	in   *bufio.Reader
	rest string
}

// beginSlowly sends a request but for the end of its body. The server is at work on it: it has asked for the body.
func beginSlowly(t testing.TB, base string, w write) slowly {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(base, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(patience))
	path, body := w.door(w)
	_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\nIdempotency-Key: %s\r\nExpect: 100-continue\r\n\r\n",
		path, w.token, len(body), w.key)
	s := slowly{conn, bufio.NewReader(conn), body[10:]}
	line, err := s.in.ReadString('\n')
	if _, more := s.in.ReadString('\n'); err != nil || more != nil || !strings.Contains(line, "100 Continue") {
		t.Fatalf("the server says %q, %v, %v", line, err, more)
	}
	_, _ = io.WriteString(conn, body[:10])
	return s
}

func (s slowly) finish(t testing.TB) (status int, body string) {
	t.Helper()
	_, _ = io.WriteString(s.conn, s.rest)
	response, err := http.ReadResponse(s.in, nil)
	if err != nil {
		t.Fatalf("the request under way is not answered: %v", err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Error(err)
	}
	return response.StatusCode, string(text)
}

func TestOrderlyStop(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	p := startServer(t, dir, "--demo")
	pid := postmaster(dir)
	var l ledger
	var underWay []slowly
	for _, door := range []func(write) (string, string){throughREST, throughGraphQL} {
		w := write{key: "write " + uuid.NewString(), instance: uuid.New(), door: door, token: "demo-username"}
		l.writes = append(l.writes, w)
		underWay = append(underWay, beginSlowly(t, p.base, w))
	}
	p.signal(syscall.SIGTERM)
	eventually(t, "the server takes no new requests", func() bool { return refuses(t, p.base) })
	for i, s := range underWay {
		status, body := s.finish(t)
		if status != http.StatusOK || strings.Contains(body, "errors") {
			t.Errorf("the request under way is answered %d %s", status, body)
		}
		l.writes[i].id = uuids.FindString(body)
	}
	if code := p.wait(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if alive(pid) {
		t.Errorf("the database server, process %d, outlives the service", pid)
	}

	p = startServer(t, dir, "--demo")
	l.check(t, p.base, dir)
	beginSlowly(t, p.base, l.writes[0])
	p.signal(syscall.SIGTERM)
	eventually(t, "the server takes no new requests", func() bool { return refuses(t, p.base) })
	if p.ended() {
		t.Error("the server does not wait for the request under way")
	}
	p.signal(syscall.SIGINT)
	p.endsAtOnce(t)
	p = startServer(t, dir, "--demo")
	l.check(t, p.base, dir)
	p.stop(t)
}

// refuses tells whether a server that was ready refuses new connections, or says that it is not ready.
func refuses(t testing.TB, base string) bool {
	t.Helper()
	fresh := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: patience}
	response, err := fresh.Get(base + "/readyz")
	if err != nil {
		return true
	}
	defer func() { _ = response.Body.Close() }()
	return response.StatusCode == http.StatusServiceUnavailable
}

func TestTwoServersOverOneDatabase(t *testing.T) {
	t.Parallel()
	env := map[string]string{"DATABASE_URL": urlOf(dbtest.Empty(t))}
	servers := make([]*local, 2)
	var starts sync.WaitGroup
	for i := range servers { // at once, over a database that has no schema yet
		starts.Go(func() { servers[i] = serveHere(t, env, "--listen=127.0.0.1:0", "--demo") })
	}
	starts.Wait()
	if t.Failed() {
		return
	}
	for i, door := range []func(write) (string, string){throughREST, throughGraphQL} {
		w := write{key: "write " + uuid.NewString(), instance: uuid.New(), door: door, token: "demo-username"}
		id, err := w.send(t.Context(), servers[i].base)
		if err != nil {
			t.Fatal(err)
		}
		other := servers[1-i].base
		if a := fetch(t, http.MethodGet, other+"/image_requests/"+id, w.token, ""); a.status != http.StatusOK || !strings.Contains(a.body, w.key) {
			t.Errorf("what one server stored the other answers as %d %s", a.status, a.body)
		}
		if again, err := w.send(t.Context(), other); err != nil || again != id {
			t.Errorf("sent again to the other server the write is answered %s, %v instead of %s", again, err, id)
		}
	}
	servers[0].stop(t)
	if !ready(t, servers[1].base) {
		t.Error("one server's end made the other unready")
	}
}

func TestManyMigrateAtOnce(t *testing.T) {
	t.Parallel()
	cfg := dbtest.Empty(t)
	env := map[string]string{"DATABASE_URL": urlOf(cfg) + " connect_timeout=60"} // so many come in one after the other
	var all sync.WaitGroup
	var logs record
	for range 60 {
		all.Go(func() {
			out, log, err := command(env, "migrate")
			if err != nil || out != "The schema is up to date.\n" {
				t.Errorf("migrate prints %q and ends with %v", out, err)
			}
			_, _ = io.WriteString(&logs, log)
		})
	}
	all.Wait()
	if n := strings.Count(logs.String(), "steps applied"); n != 1 {
		t.Errorf("%d of them applied steps, want 1", n)
	}
	if !ready(t, serveHere(t, env, "--listen=127.0.0.1:0").base) {
		t.Error("the service is not ready over the migrated database")
	}
}

// Whose database knows no letters but ASCII's is told so once, with what to do; nobody else is.
func TestServeWarnsOfASCII(t *testing.T) {
	t.Parallel()
	for warnings, cfg := range map[int]safedriver.Config{0: dbtest.Empty(t), 1: dbtest.ASCII(t)} {
		s := serveHere(t, map[string]string{"DATABASE_URL": urlOf(cfg)}, "--listen=127.0.0.1:0")
		if n := strings.Count(s.err.String(), "LC_CTYPE"); n != warnings {
			t.Errorf("it warns %d times, want %d: %s", n, warnings, s.err)
		}
	}
}
