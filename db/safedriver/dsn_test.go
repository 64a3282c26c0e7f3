package safedriver

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/uptrace/bun/driver/pgdriver"
)

// env makes a getenv of name=value words.
func env(words ...string) func(string) string {
	return func(name string) string {
		for _, w := range words {
			if v, ok := strings.CutPrefix(w, name+"="); ok {
				return v
			}
		}
		return ""
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	local := Config{Network: "tcp", Addr: "localhost:5432", User: "u", Database: "d", AppName: "imagerequests"}
	with := func(change func(*Config)) Config {
		c := local
		change(&c)
		return c
	}
	tests := []struct {
		raw  string
		env  []string
		want Config
		bare bool // the driver's own parser gets it right too
	}{
		{raw: "postgres://u@localhost/d?sslmode=disable", want: local, bare: true},
		{raw: "postgresql://u@localhost:5432/d?sslmode=disable", want: local, bare: true},
		{raw: "user=u host=localhost dbname=d", want: local},
		{raw: "host = localhost  user='u' dbname = d", want: local},
		{raw: "postgres://u@/d", want: local},
		{raw: "postgres://localhost/d", env: []string{"PGUSER=u"}, want: local},
		{raw: "postgres://u@localhost", env: []string{"PGDATABASE=d"}, want: local},
		{raw: "postgres://u@localhost", want: with(func(c *Config) { c.Database = "u" })},
		{raw: "postgres://u:p%40%2F%3Fw@localhost/d", want: with(func(c *Config) { c.Password = "p@/?w" })},
		{raw: "postgres://u:p@w#%25@localhost/d", want: with(func(c *Config) { c.Password = "p@w#%" })},
		{raw: `user=u dbname=d password='it\'s \\ here'`, want: with(func(c *Config) { c.Password = `it's \ here` })},
		{raw: "postgres://u@localhost/d", env: []string{"PGPASSWORD=s"}, want: with(func(c *Config) { c.Password = "s" })},
		{raw: "postgres://u:own@localhost/d", env: []string{"PGPASSWORD=s"}, want: with(func(c *Config) { c.Password = "own" })},
		{raw: "postgres://u@localhost/d?password=a+b", want: with(func(c *Config) { c.Password = "a+b" })},
		{raw: "postgres://u@[::1]:6000/d", want: with(func(c *Config) { c.Addr = "[::1]:6000" })},
		{raw: "postgres://u@[::1]/d", want: with(func(c *Config) { c.Addr = "[::1]:5432" })},
		{raw: "host=::1 port=6000 user=u dbname=d", want: with(func(c *Config) { c.Addr = "[::1]:6000" })},
		{raw: "host=elsewhere hostaddr=127.0.0.1 user=u dbname=d", want: with(func(c *Config) { c.Addr = "127.0.0.1:5432" })},
		{raw: "postgres://u@localhost/d?port=6000", want: with(func(c *Config) { c.Addr = "localhost:6000" })},
		{raw: "postgres://u@%2Fvar%2Frun/d", want: with(socketIn("/var/run"))},
		{raw: "postgres:///d?host=/var/run&user=u", want: with(socketIn("/var/run"))},
		{raw: "postgres:///d?host=/var/run/.s.PGSQL.5432&user=u&sslmode=verify-full", want: with(socketIn("/var/run"))},
		{raw: "host=/var/run user=u dbname=d sslmode=require", want: with(socketIn("/var/run"))},
		{raw: "postgres://u@/d", env: []string{"PGHOST=/var/run", "PGPORT=5432"}, want: with(socketIn("/var/run"))},
		{
			raw:  "postgres://u@localhost/d?connect_timeout=7&application_name=x&target_session_attrs=any&channel_binding=prefer",
			want: with(func(c *Config) { c.DialTimeout, c.AppName = 7*time.Second, "x" }),
		},
		{
			raw: "postgres://u@localhost/d?statement_timeout=2min&search_path=a,b&options=-c%20work_mem%3D8MB%20--lock-timeout%3D1s",
			want: with(func(c *Config) {
				c.ConnParams = map[string]string{"statement_timeout": "2min", "search_path": "a,b", "work_mem": "8MB", "lock_timeout": "1s"}
				c.ReadTimeout, c.CommitTimeout = 135*time.Second, 125*time.Second
			}),
		},
	}
	for _, test := range tests {
		got, err := ParseURL(test.raw, env(test.env...))
		if err != nil {
			t.Errorf("%s: %v", test.raw, err)
			continue
		}
		want, err := test.want.complete()
		must(t, err)
		if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", test.raw, diff)
		}
		if bareReads(test.raw, want) != test.bare {
			t.Errorf("%s: the driver's own parser gets it right: %v", test.raw, !test.bare)
		}
	}
}

func socketIn(dir string) func(*Config) {
	return func(c *Config) { c.Network, c.Addr = "unix", dir+"/.s.PGSQL.5432" }
}

// bareReads reports whether the driver's own parser understands raw as want.
func bareReads(raw string, want Config) (right bool) {
	defer func() {
		if recover() != nil {
			right = false
		}
	}()
	c := pgdriver.NewConnector(pgdriver.WithDSN(raw)).Config()
	return c.Addr == want.Addr && c.User == want.User && c.Database == want.Database && c.TLSConfig == nil
}

func TestParseURLRefuses(t *testing.T) {
	t.Parallel()
	const password = "hush/hush"
	tests := []struct{ raw, says string }{
		{"", "neither postgres://"},
		{"mysql://u@h/d", "neither postgres://"},
		{"localhost:5432", "neither postgres://"},
		{"postgres://u:" + password + "@localhost/d", "@ behind the host"},
		{"postgres://u:" + password + "/d", "port"},
		{"postgres://u:12" + password + "@localhost/d", "%2F"},
		{"postgres://u:hush%zzhush@localhost/d", "password is not percent-encoded"},
		{"postgres://u:hush%00hush@localhost/d", "NUL"},
		{"postgres://u:hush%ffhush@localhost/d", "UTF-8"},
		{"postgres://u@h1,h2:5433/d", "several hosts"},
		{"host=h1,h2 user=u", "several hosts"},
		{"postgres://u@::1/d", "brackets"},
		{"postgres://u@[::1/d", "IPv6"},
		{"postgres://u@localhost:0/d", "port"},
		{"postgres://u@localhost:70000/d", "port"},
		{"postgres://u@localhost/d?sslmod=verify-full", "parameter sslmod is not"},
		{"postgres://u@localhost/d?passfile=/x", "passfile"},
		{"postgres://u@localhost/d?channel_binding=require", "channel_binding"},
		{"postgres://u@localhost/d?target_session_attrs=read-write", "target_session_attrs"},
		{"postgres://u@localhost/d?sslmode=full", "sslmode"},
		{"postgres://u@localhost/d?sslmode", "name=value"},
		{"postgres://u@localhost/d?connect_timeout=soon", "connect_timeout"},
		{"postgres://u@localhost/d?statement_timeout=soon", "statement_timeout"},
		{"postgres://u@localhost/d?statement_timeout=99999999d", "statement_timeout"},
		{"postgres://u@localhost/d?timezone=CET", "timezone"},
		{"postgres://u@localhost/d?options=-c%20TimeZone%3DCET", "timezone cannot"},
		{"postgres://u@localhost/d?options=-c%20datestyle%3DGerman", "datestyle cannot"},
		{"postgres://u@localhost/d?options=garbage", "options"},
		{"postgres://u@localhost/d?sslmode=verify-full&sslrootcert=/nowhere", "sslrootcert"},
		{"postgres://u@localhost/d?sslmode=verify-full&sslrootcert=/dev/null", "no certificate"},
		{"postgres://u@localhost/d?sslmode=verify-full&sslcert=/x", "together"},
		{"postgres://u@localhost/d?sslmode=verify-full&sslcert=/x&sslkey=/y", "sslcert and sslkey"},
		{"user=u password=some hush/hush", "written 'like this'"},
		{"user=u password=some hush=hush", "need quoting"},
		{"user=u password='hush", "no end"},
	}
	for _, test := range tests {
		_, err := ParseURL(test.raw, nil)
		if err == nil {
			t.Errorf("%s was taken", test.raw)
			continue
		}
		if !strings.Contains(err.Error(), test.says) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: %v", test.raw, err)
		}
	}
}

// Off this machine only a verified connection passes, unless the operator says so.
func TestUnverifiedIsRefused(t *testing.T) {
	t.Parallel()
	insecure := env(insecureEnv + "=true")
	for _, mode := range []string{"", "disable", "allow", "prefer", "require", "verify-ca"} {
		raw := "postgres://u@db.example.com/d?sslmode=" + mode
		_, err := ParseURL(raw, env(insecureEnv+"=yes please"))
		if !errors.Is(err, errUnverified) || !strings.Contains(err.Error(), insecureEnv+"=true") {
			t.Errorf("%q: %v", mode, err)
		}
		cfg, err := ParseURL(raw, insecure)
		must(t, err)
		if wantTLS := mode != "disable"; (cfg.TLS != nil) != wantTLS || !cfg.AllowInsecure {
			t.Errorf("%q, insecure: TLS %v", mode, cfg.TLS != nil)
		}
		cfg.AllowInsecure = false
		if _, err := New(cfg); !errors.Is(err, errUnverified) {
			t.Errorf("%q: New said %v", mode, err)
		}
	}
	cfg, err := ParseURL("postgres://u@db.example.com/d?sslmode=verify-full", nil)
	must(t, err)
	if cfg.TLS.InsecureSkipVerify || cfg.TLS.ServerName != "db.example.com" || cfg.TLSOptional {
		t.Error("verify-full does not verify")
	}
	if _, err := New(cfg); err != nil {
		t.Error(err)
	}
	if _, err := ParseURL("host=db.example.com hostaddr=127.0.0.1 user=u", nil); err != nil {
		t.Error("an address on this machine: ", err)
	}
	if _, err := ParseURL("host=localhost hostaddr=192.0.2.1 user=u", nil); !errors.Is(err, errUnverified) {
		t.Error("an address elsewhere: ", err)
	}
}

func TestNewRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"network":  func(c *Config) { c.Network = "udp" },
		"address":  func(c *Config) { c.Addr = "" },
		"port":     func(c *Config) { c.Network, c.Addr = "tcp", "localhost" },
		"host":     func(c *Config) { c.Network, c.Addr = "tcp", ":5432" },
		"user":     func(c *Config) { c.User = "" },
		"password": func(c *Config) { c.Password = "a\x00b" },
		"timeout":  func(c *Config) { c.ReadTimeout = -1 },
		"params":   func(c *Config) { c.ConnParams = map[string]string{"TimeZone": "CET"} },
		"value":    func(c *Config) { c.ConnParams = map[string]string{"search_path": "\xff"} },
	} {
		cfg := config()
		change(&cfg)
		if _, err := New(cfg); err == nil {
			t.Errorf("a wrong %s was taken", name)
		}
	}
}

func TestPasswordIsNotPrinted(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.Password = "hush"
	c, err := New(cfg)
	must(t, err)
	js, err := json.Marshal(struct{ C any }{cfg})
	must(t, err)
	for _, s := range []string{fmt.Sprintf("%v %+v %#v %s", cfg, cfg, cfg, &cfg), fmt.Sprintf("%v %+v %#v", c, c, c), string(js)} {
		if strings.Contains(s, "hush") {
			t.Error(s)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	root, other := filepath.Join(server.dir, "root.crt"), filepath.Join(server.dir, "other.crt")
	for _, test := range []struct{ host, query, says string }{
		{"127.0.0.1", "sslmode=verify-full&sslrootcert=" + root, ""},
		{"127.0.0.1", "sslmode=verify-full&sslrootcert=" + other, "unknown authority"},
		{"127.0.0.1", "sslmode=verify-full", "unknown authority"},
		{"localhost", "sslmode=verify-full&hostaddr=127.0.0.1&sslrootcert=" + root, "not valid for any names"},
		{"localhost", "sslmode=verify-ca&hostaddr=127.0.0.1&sslrootcert=" + root, ""},
		{"127.0.0.1", "sslmode=verify-ca&sslrootcert=" + other, "unknown authority"},
		{"127.0.0.1", "sslmode=require&sslrootcert=" + other, "unknown authority"},
		{"127.0.0.1", "sslmode=require", ""},
		{"127.0.0.1", "sslmode=prefer", ""},
	} {
		cfg, err := ParseURL("postgres://tester@"+test.host+":"+server.port+"/postgres?"+test.query, nil)
		must(t, err)
		var encrypted bool
		err = safe(t, cfg).QueryRow("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()").Scan(&encrypted)
		if test.says == "" && (err != nil || !encrypted) {
			t.Errorf("%s %s: encrypted %v, %v", test.host, test.query, encrypted, err)
		}
		if test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
			t.Errorf("%s %s: %v", test.host, test.query, err)
		}
	}
	// without a word about TLS the bare driver encrypts for anybody
	c := pgdriver.NewConnector(pgdriver.WithDSN("postgres://tester@127.0.0.1:" + server.port + "/postgres"))
	if cn, err := c.Connect(t.Context()); err != nil {
		t.Error("the bare driver no longer has this hole: ", err)
	} else {
		_ = cn.Close()
	}
}

func TestPasswordLogin(t *testing.T) {
	t.Parallel()
	_, err := safe(t, config()).Exec("DROP ROLE IF EXISTS secret; CREATE ROLE secret LOGIN PASSWORD '" + testPassword + "'")
	must(t, err)
	raw := "postgres://secret:" + url.PathEscape(testPassword) + "@127.0.0.1:" + server.port + "/postgres"
	cfg, err := ParseURL(raw, nil)
	must(t, err)
	must(t, safe(t, cfg).Ping())
	cfg.Password = "wrong"
	if err := safe(t, cfg).Ping(); SQLState(err) != "28P01" || strings.Contains(err.Error(), "wrong") {
		t.Error("a wrong password said ", err)
	}
}

// FuzzParseURL: nothing crashes, no error has the password, and what is taken is safe.
func FuzzParseURL(f *testing.F) {
	f.Add("postgres://u:", "s3cret-word", "@localhost:5432/d?sslmode=disable")
	f.Add("postgresql://u:", "a/b?c#d@e%zz", "@[::1]/d")
	f.Add("host=/run user=u password='", `it\'s me`, "' dbname=d")
	f.Add("user=u password='", "it's=me", "'")
	f.Add("postgres://u:", "a@b?c=d&e=f", "@h/d")
	f.Add("host=db.example.com password=", "two words=three", " port=1")
	f.Add("postgres:///d?password=", "amper&sand=1", "&host=%2Frun")
	f.Add("postgres://u@h/d?options=-c%20", "statement_timeout=9999999999d", "&x=")
	f.Fuzz(func(t *testing.T, before, password, after string) {
		if strings.Contains(before+after, mark) {
			return
		}
		isPassword := beginsPassword(before, after)
		marked := mark + strings.Join(strings.Split(password, ""), mark) + mark
		for _, password := range []string{password, mark + password + mark, marked} {
			cfg, err := ParseURL(before+password+after, nil)
			if err == nil {
				checkSafe(t, cfg)
			} else if file := new(fs.PathError); isPassword && !errors.As(err, &file) && strings.Contains(err.Error(), mark) {
				t.Errorf("the error holds the password: %v", err)
			}
		}
	})
}

// beginsPassword tells whether what stands between before and after is, or begins with, a password.
func beginsPassword(before, after string) bool {
	ends := []string{"", "'"}
	if strings.HasPrefix(after, "@") {
		ends = append(ends, "@h")
	}
	return slices.ContainsFunc(ends, func(end string) bool {
		s, err := split(before + "x" + end)
		return err == nil && s["password"] == "x"
	})
}

// TestBeginsPassword: the fuzz target looks where passwords are, and only there.
func TestBeginsPassword(t *testing.T) {
	t.Parallel()
	for _, before := range []string{"postgres://u:", "postgresql://u:", "host=/run user=u password='", "password=", "postgres:///d?password="} {
		if !beginsPassword(before, "@h") {
			t.Errorf("%q begins a password", before)
		}
	}
	for _, before := range []string{"host=password=", "host=' password=", "postgres://u@h/d?options=-c%20", "postgres://"} {
		if beginsPassword(before, "") {
			t.Errorf("%q begins no password", before)
		}
	}
}

// mark is unlike anything an error says, and could be the name of a parameter.
const mark = "zq7zq"

func checkSafe(t *testing.T, cfg Config) {
	if cfg.AllowInsecure || cfg.Network != "unix" && (cfg.TLS == nil || cfg.TLS.InsecureSkipVerify) && !isLoopback(hostOf(cfg.Addr)) {
		t.Errorf("%v is not safe", cfg)
	}
	if _, err := New(cfg); err != nil {
		t.Errorf("%v was parsed and then refused: %v", cfg, err)
	}
}

func hostOf(addr string) string {
	host, _, _ := net.SplitHostPort(addr)
	return host
}
