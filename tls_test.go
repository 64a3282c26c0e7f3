package main

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"imagerequests/db/dbtest"
)

func goVersion() string { return runtime.Version() }

// free is an address that nobody listens on, on a host of its own where there is one: no other test is given its port meanwhile.
func free(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return l.Addr().String()
}

// certify writes a certificate for this machine under the name, with its key, and trusts it.
func certify(t testing.TB, dir, name string, number int64, pool *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(number), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	pool.AppendCertsFromPEM(text)
	for file, content := range map[string][]byte{name + ".pem": text, name + ".key": pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})} {
		if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// With a certificate the service speaks HTTP/2 and 1.1 under TLS, with sockets and streams, and takes up a new certificate
// without a restart; half of one leaves the old one in place.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir, pool := t.TempDir(), x509.NewCertPool()
	certify(t, dir, "one", 1, pool)
	cert, key := filepath.Join(dir, "one.pem"), filepath.Join(dir, "one.key")
	cfg := dbtest.Config(t)
	if err := dbtest.Open(t, cfg).LoadDemo(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := serveHere(t, map[string]string{"DATABASE_URL": urlOf(cfg), "IMAGEREQUESTS_TLS_CERT": cert, "IMAGEREQUESTS_TLS_KEY": key}, "--listen=127.0.0.1:0")
	if !strings.HasPrefix(s.base, "https://") {
		t.Fatalf("it greets with %s", s.base)
	}
	address := strings.TrimPrefix(s.base, "https://")
	for _, newest := range []bool{true, false} {
		trusting := &tls.Config{RootCAs: pool}
		if !newest {
			trusting.MaxVersion = tls.VersionTLS12
		}
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: trusting, ForceAttemptHTTP2: newest}}
		r, err := client.Get(s.base + "/image_requests")
		if err != nil {
			t.Fatal(err)
		}
		_ = r.Body.Close()
		if want := map[bool]int{true: 2, false: 1}[newest]; r.StatusCode != 200 || r.ProtoMajor != want || r.Header.Get("Strict-Transport-Security") != aYear {
			t.Errorf("%s %d %v", r.Proto, r.StatusCode, r.Header)
		}
		stream(t, client, s.base)
		c, _, err := websocket.Dial(t.Context(), s.base+"/graphql", &websocket.DialOptions{
			Subprotocols: []string{"graphql-transport-ws"}, HTTPClient: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}},
		})
		if err != nil {
			t.Fatal(err)
		}
		ours := socket{c}
		if got := ours.ask(t, `{"type":"connection_init"}`); got != `{"type":"connection_ack"}` {
			t.Errorf("a socket is answered %s", got)
		}
		_ = c.CloseNow()
		client.CloseIdleConnections()
	}
	old := &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11} //nolint:gosec // it is to be refused
	if c, err := tls.Dial("tcp", address, old); err == nil {
		_ = c.Close()
		t.Error("TLS 1.1 is spoken")
	}
	serial := func() int64 {
		c, err := tls.Dial("tcp", address, &tls.Config{RootCAs: pool})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = c.Close() }()
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	certify(t, dir, "two", 2, pool)
	move := func(from, to string) {
		t.Helper()
		if err := os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)); err != nil {
			t.Fatal(err)
		}
	}
	move("two.pem", "one.pem") // half a renewal
	eventually(t, "half a renewal is noticed", func() bool { n := serial(); return n == 1 && strings.Contains(s.err.String(), "the old one stays") })
	move("two.key", "one.key")
	eventually(t, "the new certificate is used", func() bool { return serial() == 2 })
}

// stream reads the first event of a stream of what happened.
func stream(t testing.TB, client *http.Client, base string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	body := strings.NewReader(`{"query":"subscription { events(after: \"\") { action } }"}`)
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, base+"/graphql", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Accept", "text/event-stream")
	response, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "data: ") && strings.Contains(lines.Text(), `"action"`) {
			return
		}
	}
	t.Errorf("a stream by %s tells nothing: %v", response.Proto, lines.Err())
}

// Pairs that cannot be used, or whose key others may read, refuse to start.
func TestTLSRefused(t *testing.T) {
	t.Parallel()
	dir, pool := t.TempDir(), x509.NewCertPool()
	certify(t, dir, "one", 1, pool)
	certify(t, dir, "two", 2, pool)
	file := func(name string) string { return filepath.Join(dir, name) }
	for mode, fine := range map[os.FileMode]bool{0o600: true, 0o400: true, 0o640: true, 0o440: true, 0o644: false, 0o660: false, 0o604: false, 0o620: false} {
		if err := os.Chmod(file("one.key"), mode); err != nil {
			t.Fatal(err)
		}
		_, err := loadCertificate(file("one.pem"), file("one.key"), nil)
		if (err == nil) != fine || err != nil && !strings.Contains(err.Error(), fmt.Sprintf("%04o", mode)) {
			t.Errorf("a key of mode %04o: %v", mode, err)
		}
	}
	if err := os.Chmod(file("one.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"DATABASE_URL": urlOf(dbtest.Empty(t))}
	for _, c := range []struct{ cert, key, want string }{
		{file("one.pem"), "", "go together"},
		{"", file("one.key"), "go together"},
		{file("none.pem"), file("one.key"), "no such file"},
		{file("one.pem"), file("none.key"), "no such file"},
		{file("one.pem"), file("two.key"), "does not match"},
		{file("one.key"), file("one.key"), "--tls-cert"},
	} {
		args := []string{"serve", "--listen=127.0.0.1:0"}
		if c.cert != "" {
			args = append(args, "--tls-cert="+c.cert)
		}
		if c.key != "" {
			args = append(args, "--tls-key="+c.key)
		}
		if _, _, err := command(env, args...); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v: %v, want %q", args, err, c.want)
		}
	}
}
