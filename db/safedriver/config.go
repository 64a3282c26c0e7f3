package safedriver

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// What a zero timeout in a Config stands for.
const (
	defaultDial   = 5 * time.Second
	defaultRead   = 30 * time.Second
	defaultWrite  = 10 * time.Second
	defaultCommit = 20 * time.Second
)

// Config says where the database is and how to speak with it. ParseURL makes one
// from DATABASE_URL; a program may as well fill it in itself.
type Config struct {
	Network string // "tcp" or "unix"; empty means tcp
	Addr    string // host:port, or the full path of the socket file

	User     string // required
	Password string `json:"-"`
	Database string // empty means the name of the user
	AppName  string // shown in pg_stat_activity; empty means imagerequests

	// TLS is how to encrypt and whom to trust; nil means no TLS. An empty
	// ServerName becomes the host of Addr.
	TLS *tls.Config
	// TLSOptional goes on without TLS if the server has none (sslmode=prefer).
	TLSOptional bool
	// AllowInsecure permits TLS that is absent, optional or unverified off this
	// machine. Only an operator who said so in words may set it.
	AllowInsecure bool

	// ConnParams are run-time parameters of the session, such as
	// statement_timeout or search_path. They win over this package's defaults.
	ConnParams map[string]string

	DialTimeout   time.Duration // the whole connect, with TLS and login; 0 means 5 s
	ReadTimeout   time.Duration // each wait for an answer; 0 means 30 s, longer if statement_timeout is
	WriteTimeout  time.Duration // 0 means 10 s
	CommitTimeout time.Duration // for COMMIT and ROLLBACK; 0 means 20 s, longer if statement_timeout is
}

// Format prints the address and the names, never the password, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) {
	fmt.Fprintf(f, "%s://%s@%s/%s", c.Network, c.User, c.Addr, c.Database)
}

// complete fills in the defaults and refuses what is incomplete or unsafe.
func (c Config) complete() (Config, error) {
	c.Network = cmp.Or(c.Network, "tcp")
	c.Database = cmp.Or(c.Database, c.User)
	c.AppName = cmp.Or(c.AppName, "imagerequests")
	c.DialTimeout = cmp.Or(c.DialTimeout, defaultDial)
	c.WriteTimeout = cmp.Or(c.WriteTimeout, defaultWrite)
	params, longest, err := checkParams(c.ConnParams)
	if err != nil {
		return c, err
	}
	c.ConnParams = params
	// the server shall end a statement before we stop waiting for it
	c.ReadTimeout = cmp.Or(c.ReadTimeout, max(defaultRead, longest+15*time.Second))
	c.CommitTimeout = cmp.Or(c.CommitTimeout, max(defaultCommit, longest+5*time.Second))

	switch {
	case c.Network != "tcp" && c.Network != "unix":
		return c, fmt.Errorf("network %q is neither tcp nor unix", c.Network)
	case c.Addr == "":
		return c, errors.New("no address")
	case c.User == "":
		return c, errors.New("no user")
	case min(c.DialTimeout, c.ReadTimeout, c.WriteTimeout, c.CommitTimeout) < 0:
		return c, errors.New("a timeout is negative")
	}
	for _, s := range []string{c.User, c.Password, c.Database, c.AppName} {
		if !cleanText(s) {
			return c, fmt.Errorf("user, password, database or application name: %w", ErrText)
		}
	}
	if c.Network == "unix" {
		c.TLS = nil // the kernel carries it; Postgres has no TLS there
		return c, nil
	}
	return c.completeTLS()
}

func (c Config) completeTLS() (Config, error) {
	host, _, err := net.SplitHostPort(c.Addr)
	if err != nil || host == "" {
		return c, errors.New("the address is not host:port")
	}
	if c.TLS != nil && c.TLS.ServerName == "" {
		c.TLS = c.TLS.Clone()
		c.TLS.ServerName = host
	}
	if !c.verified() && !c.AllowInsecure && !isLoopback(host) {
		return c, errUnverified
	}
	return c, nil
}

func (c Config) verified() bool {
	return c.TLS != nil && !c.TLS.InsecureSkipVerify && !c.TLSOptional
}

var errUnverified = errors.New("the database is on another machine and the connection to it would not be verified: " +
	"add sslmode=verify-full (and sslrootcert=FILE for a private authority), " +
	"or set " + insecureEnv + "=true to accept that others may read and change what passes")

// checkParams copies the parameters under lower-case names, refuses those on which
// reading answers depends, and returns statement_timeout.
func checkParams(own map[string]string) (map[string]string, time.Duration, error) {
	params := make(map[string]string, len(own))
	var longest time.Duration
	for name, value := range own {
		name = strings.ToLower(name)
		switch name {
		case "timezone", "datestyle", "bytea_output", "client_encoding", "standard_conforming_strings":
			return nil, 0, fmt.Errorf("the parameter %s cannot be changed", name)
		case "statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout", checkInterval:
			d, ok := pgDuration(value)
			if !ok {
				return nil, 0, fmt.Errorf("%s is not a duration such as 500ms, 15s or 2min", name)
			}
			if name == "statement_timeout" {
				longest = d
			}
		}
		if !cleanText(name) || !cleanText(value) {
			return nil, 0, fmt.Errorf("a run-time parameter: %w", ErrText)
		}
		params[name] = value
	}
	return params, longest, nil
}

var pgUnits = map[string]time.Duration{
	"": time.Millisecond, "us": time.Microsecond, "ms": time.Millisecond, "s": time.Second,
	"min": time.Minute, "h": time.Hour, "d": 24 * time.Hour,
}

// pgDuration reads a time setting of Postgres, at most its largest, 24 days.
func pgDuration(s string) (time.Duration, bool) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyz")
	n, err := strconv.ParseUint(digits, 10, 31)
	unit, ok := pgUnits[s[len(digits):]]
	if err != nil || !ok || time.Duration(n) > math.MaxInt32*time.Millisecond/unit {
		return 0, false
	}
	return time.Duration(n) * unit, true
}

// isLoopback reports whether the host cannot be another machine.
func isLoopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

// cleanText reports whether Postgres can store s as it is.
func cleanText(s string) bool {
	return utf8.ValidString(s) && !strings.Contains(s, "\x00")
}
