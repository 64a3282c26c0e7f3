package safedriver

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/uptrace/bun/driver/pgdriver"
	"go.uber.org/goleak"
)

// server is the throw-away Postgres of this test binary.
var server struct {
	dir  string // holds the socket, root.crt and other.crt
	port string
}

const testPassword = "pa ss/w@rd%"

func TestMain(m *testing.M) {
	// the server dies with the thread that started it, so this one must stay
	runtime.LockOSThread()
	pgdriver.Logger = quiet{}
	flag.Parse()
	if flag.Lookup("test.fuzz").Value.String() != "" { // needs no database, and its workers would each start one
		os.Exit(m.Run())
	}
	stop, err := startPostgres()
	if err != nil {
		_ = os.RemoveAll(server.dir)
		fmt.Fprintln(os.Stderr, "test database:", err)
		os.Exit(1)
	}
	code := m.Run()
	stop()
	_ = os.RemoveAll(server.dir)
	if err := goleak.Find(); err != nil && code == 0 {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// quiet drops the driver's complaints about connections that tests break.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func startPostgres() (stop func(), err error) {
	if server.dir, err = os.MkdirTemp("", "pg"); err != nil {
		return nil, err
	}
	data := filepath.Join(server.dir, "data")
	owner, err := unprivileged()
	if err != nil {
		return nil, err
	}
	if err := errors.Join(os.Chmod(server.dir, 0o755), os.Mkdir(data, 0o700), writeCertificates(server.dir)); err != nil {
		return nil, err
	}
	if owner != nil {
		for _, name := range []string{data, server.dir, filepath.Join(server.dir, "server.key")} {
			if err := os.Chown(name, int(owner.Uid), int(owner.Gid)); err != nil {
				return nil, err
			}
		}
	}
	initdb := command(owner, "initdb", "-D", data, "-U", "tester", "--no-sync", "--no-instructions", "--locale=C", "-E", "UTF8", "-A", "trust")
	if out, err := initdb.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	hba := "local all all trust\nhost all secret 127.0.0.1/32 scram-sha-256\nhost all all 127.0.0.1/32 trust\n"
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), []byte(hba), 0o600); err != nil {
		return nil, err
	}
	for range 5 { // between choosing a port and listening on it somebody else may have it
		if server.port, err = freePort(); err != nil {
			return nil, err
		}
		postgres := command(owner, "postgres", "-D", data, "-k", server.dir, "-p", server.port,
			"-c", "listen_addresses=127.0.0.1", "-c", "fsync=off", "-c", "ssl=on", "-c", "timezone=Asia/Kathmandu",
			"-c", "ssl_cert_file="+filepath.Join(server.dir, "server.crt"), "-c", "ssl_key_file="+filepath.Join(server.dir, "server.key"))
		if stop, err = run(postgres); err == nil {
			return stop, nil
		}
	}
	return nil, err
}

// run starts Postgres and returns when its log says that it is ready.
func run(postgres *exec.Cmd) (stop func(), err error) {
	out, err := postgres.StderrPipe()
	if err != nil {
		return nil, err
	}
	if err := postgres.Start(); err != nil {
		return nil, err
	}
	stop = func() {
		_ = postgres.Process.Signal(syscall.SIGQUIT)
		_ = postgres.Wait()
	}
	var seen bytes.Buffer
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if strings.Contains(lines.Text(), "ready to accept connections") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return stop, nil
		}
		fmt.Fprintln(&seen, lines.Text())
	}
	stop()
	return nil, fmt.Errorf("it did not start: %s", &seen)
}

// command runs a program of the newest installed Postgres, never as root.
func command(owner *syscall.Credential, name string, args ...string) *exec.Cmd {
	if found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name); len(found) > 0 {
		name = slices.MaxFunc(found, func(a, b string) int { return len(a) - len(b) + strings.Compare(a, b) })
	}
	cmd := exec.Command(name, args...)
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: owner}
	dieWithParent(cmd.SysProcAttr)
	return cmd
}

func unprivileged() (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
	gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, errors.Join(err1, err2)
}

func freePort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	_, port, err := net.SplitHostPort(l.Addr().String())
	return port, err
}

// writeCertificates makes root.crt, which signs the server's certificate for
// 127.0.0.1 and for no name, and other.crt, which has nothing to do with it.
func writeCertificates(dir string) error {
	root, rootKey, err := certificate(&x509.Certificate{IsCA: true, BasicConstraintsValid: true}, nil, nil)
	if err != nil {
		return err
	}
	other, _, err := certificate(&x509.Certificate{IsCA: true, BasicConstraintsValid: true}, nil, nil)
	if err != nil {
		return err
	}
	leaf, leafKey, err := certificate(&x509.Certificate{IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, root, rootKey)
	if err != nil {
		return err
	}
	key, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		return err
	}
	write := func(name, kind string, der []byte) error {
		return os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
	}
	return errors.Join(write("root.crt", "CERTIFICATE", root.Raw), write("other.crt", "CERTIFICATE", other.Raw),
		write("server.crt", "CERTIFICATE", leaf.Raw), os.Chmod(filepath.Join(dir, "server.crt"), 0o644),
		write("server.key", "PRIVATE KEY", key))
}

func certificate(c, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.Subject = pkix.Name{CommonName: fmt.Sprint("test ", c.SerialNumber)}
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	if parent == nil {
		parent, signer = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		return nil, nil, err
	}
	c, err = x509.ParseCertificate(der)
	return c, key, err
}

// config is the test database over its socket.
func config() Config {
	return Config{Network: "unix", Addr: server.dir + "/.s.PGSQL." + server.port, User: "tester", Database: "postgres"}
}

// tcpConfig is the same without the socket.
func tcpConfig() Config {
	cfg := config()
	cfg.Network, cfg.Addr = "tcp", "127.0.0.1:"+server.port
	return cfg
}

// opener makes a pool of either driver; it closes with the test.
type opener func(t *testing.T, cfg Config) *sql.DB

func bare(t *testing.T, cfg Config) *sql.DB {
	return pool(t, sql.OpenDB(pgdriver.NewConnector(pgdriver.WithNetwork(cfg.Network), pgdriver.WithAddr(cfg.Addr),
		pgdriver.WithUser(cfg.User), pgdriver.WithDatabase(cfg.Database), pgdriver.WithInsecure(true))))
}

func safe(t *testing.T, cfg Config) *sql.DB {
	t.Helper()
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return pool(t, sql.OpenDB(c))
}

// pool has one connection, so that its next user is known.
func pool(t *testing.T, db *sql.DB) *sql.DB {
	db.SetMaxOpenConns(1)
	t.Cleanup(func() { _ = db.Close() })
	return db
}
