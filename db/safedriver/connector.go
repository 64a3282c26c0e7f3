// Package safedriver is pgdriver made safe. It wraps the driver's connections so
// that, whatever happens to a call, nobody ever reads an answer meant for somebody
// else, and that success is only told when it is true.
//
// Its rules:
//
//   - A connection whose place in the protocol is not known for certain is closed,
//     never reused. Any error that is not a plain refusal of the server closes it.
//   - The end of a context closes the socket at once and comes back as the
//     context's error; Postgres notices within a second and stops working.
//   - COMMIT succeeds only if the server said COMMIT.
//   - Off this machine, TLS is verified.
//
// Not seen, and so left to the caller: a plain SET within a transaction and
// advisory locks of the session outlive it (use SET LOCAL and
// pg_advisory_xact_lock), and Bun replaces invalid UTF-8 before it gets here
// (refuse it at the edge).
package safedriver

import (
	"context"
	"crypto/tls"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/uptrace/bun/driver/pgdriver"
)

// An SQL error longer than the buffer loses its code and the connection, and
// callers can pick that length.
const bufferSize = 64 << 10

// sessionDefaults are set on every connection unless Config.ConnParams differs.
var sessionDefaults = map[string]string{
	"timezone":                            "UTC",
	"datestyle":                           "ISO", // pgdriver reads no other
	"bytea_output":                        "hex",
	"statement_timeout":                   "15s",
	"lock_timeout":                        "3s",
	"idle_in_transaction_session_timeout": "10s",
	checkInterval:                         "1s",  // ends the queries of clients that left
	"jit":                                 "off", // compiling takes longer than any query of ours that is not far too dear
	"random_page_cost":                    "1.1", // no disk turns any more, and most pages are in memory
}

const checkInterval = "client_connection_check_interval" // unknown to Postgres 13

// Connector opens safe connections; give it to sql.OpenDB.
type Connector struct {
	cfg   Config
	inner *pgdriver.Connector
	setup string // the statement that prepares a session
	args  []driver.NamedValue

	suspicion suspicion
}

// New returns a Connector, or an error when cfg is incomplete or unsafe. It does
// not connect.
func New(cfg Config) (*Connector, error) {
	cfg, err := cfg.complete()
	if err != nil {
		return nil, fmt.Errorf("safedriver: %w", err)
	}
	c := &Connector{cfg: cfg}
	c.setup, c.args = sessionSetup(cfg.ConnParams)
	c.inner = c.pgdriver(c.dial)
	return c, nil
}

// Format prints what Config prints; never the password.
func (c *Connector) Format(f fmt.State, verb rune) { c.cfg.Format(f, verb) }

// Driver returns pgdriver's own driver, so that pgdriver.NewListener works on a
// pool of this connector. The listener's connection is dialed like all others but
// has no session parameters and no guards.
func (c *Connector) Driver() driver.Driver { return c.inner.Driver() }

// Connect opens a connection and prepares its session. It takes at most
// Config.DialTimeout; a failed attempt leaves no socket behind.
func (c *Connector) Connect(ctx context.Context) (driver.Conn, error) {
	limited, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	cn, err := c.connect(limited)
	late := limited.Err()          // asked before ctx, whose end is this one's too
	if err == nil && late != nil { // it may be cut already
		cn.drop()
		err = late
	}
	switch {
	case err == nil:
		return cn, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("connect to database: %w", ctx.Err())
	case late != nil && SQLState(err) == "":
		return nil, fmt.Errorf("connect to database: no answer within %s: %w", c.cfg.DialTimeout, os.ErrDeadlineExceeded)
	default:
		return nil, fmt.Errorf("connect to database: %w", err)
	}
}

func (c *Connector) connect(ctx context.Context) (*conn, error) {
	nc, err := c.dial(ctx, c.cfg.Network, c.cfg.Addr)
	if err != nil {
		return nil, err
	}
	s := nc.(*socket)
	release := onEnd(ctx, s.cut)
	defer release()

	dialed := func(context.Context, string, string) (net.Conn, error) { return s, nil }
	dc, err := c.pgdriver(dialed).Connect(context.WithoutCancel(ctx))
	if err != nil {
		s.cut() // pgdriver forgets the socket
		return nil, err
	}
	cn := &conn{inner: dc.(*pgdriver.Conn), socket: s, commitTimeout: c.cfg.CommitTimeout, suspicion: &c.suspicion, wire: newWire(s, c.cfg)}
	if _, err := cn.ExecContext(ctx, c.setup, c.args); err != nil {
		cn.drop()
		return nil, fmt.Errorf("set session parameters: %w", err)
	}
	return cn, nil
}

type dialer = func(ctx context.Context, network, addr string) (net.Conn, error)

// pgdriver builds the driver's own connector. Its options are avoided: they panic
// on empty values and read the environment. TLS is ours, in dial.
func (c *Connector) pgdriver(dial dialer) *pgdriver.Connector {
	return pgdriver.NewConnector(pgdriver.WithConfig(&pgdriver.Config{
		Network: c.cfg.Network, Addr: c.cfg.Addr, Dialer: dial,
		User: c.cfg.User, Password: c.cfg.Password, Database: c.cfg.Database, AppName: c.cfg.AppName,
		DialTimeout: c.cfg.DialTimeout, ReadTimeout: c.cfg.ReadTimeout, WriteTimeout: c.cfg.WriteTimeout,
		EnableTracing: true, BufferSize: bufferSize,
	}))
}

// dial connects and, if wanted, encrypts. The socket closes itself unless the
// login on it ends in time.
func (c *Connector) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.DialTimeout)
	defer cancel()
	d := net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	raw, err := d.DialContext(ctx, network, addr)
	if end, _ := ctx.Deadline(); err != nil && !time.Now().Before(end) {
		<-ctx.Done() // in a moment: the dialler has a clock of its own
	}
	if err != nil {
		return nil, err
	}
	release := onEnd(ctx, func() { _ = raw.Close() })
	nc, err := c.secure(ctx, raw)
	release()
	if err != nil {
		_ = raw.Close()
		return nil, err
	}
	s := &socket{Conn: nc, raw: raw}
	s.login = time.AfterFunc(c.cfg.DialTimeout, s.cut)
	return s, nil
}

// sslRequest asks the server for TLS; it answers S or N.
const sslRequest = "\x00\x00\x00\x08\x04\xd2\x16\x2f"

func (c *Connector) secure(ctx context.Context, raw net.Conn) (net.Conn, error) {
	if peer, ok := raw.RemoteAddr().(*net.TCPAddr); ok && !c.cfg.verified() && !c.cfg.AllowInsecure && !peer.IP.IsLoopback() {
		return nil, errUnverified // a name like localhost led to another machine after all
	}
	if c.cfg.TLS == nil {
		return raw, nil
	}
	if _, err := io.WriteString(raw, sslRequest); err != nil {
		return nil, err
	}
	var answer [1]byte // exactly one byte: what comes behind it belongs to TLS
	if _, err := io.ReadFull(raw, answer[:]); err != nil {
		return nil, err
	}
	switch {
	case answer[0] == 'S':
		tc := tls.Client(raw, c.cfg.TLS)
		if err := tc.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS: %w", err)
		}
		return tc, nil
	case answer[0] == 'N' && c.cfg.TLSOptional:
		return raw, nil
	default:
		return nil, errors.New("the server does not offer TLS")
	}
}

// sessionSetup builds one statement that sets all parameters in one round trip.
func sessionSetup(own map[string]string) (string, []driver.NamedValue) {
	params := maps.Clone(sessionDefaults)
	maps.Copy(params, own)
	var values []string
	var args []driver.NamedValue
	for _, k := range slices.Sorted(maps.Keys(params)) {
		values = append(values, fmt.Sprintf("($%d, $%d)", len(args)+1, len(args)+2))
		args = append(args, driver.NamedValue{Ordinal: len(args) + 1, Value: k})
		args = append(args, driver.NamedValue{Ordinal: len(args) + 1, Value: params[k]})
	}
	return "SELECT set_config(name, value, false) FROM (VALUES " + strings.Join(values, ", ") + ") AS p (name, value)" +
		" WHERE name <> '" + checkInterval + "' OR current_setting(name, true) IS NOT NULL", args
}
