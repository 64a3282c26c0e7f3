package safedriver

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"os/user"
	"path"
	"strconv"
	"strings"
	"time"
)

const insecureEnv = "IMAGEREQUESTS_DATABASE_INSECURE"

// fallbacks are the settings ParseURL knows, each with the variable that stands in
// for it when DATABASE_URL is silent.
var fallbacks = map[string]string{
	"host": "PGHOST", "port": "PGPORT", "dbname": "PGDATABASE", "user": "PGUSER", "password": "PGPASSWORD",
	"sslmode": "PGSSLMODE", "sslrootcert": "PGSSLROOTCERT", "sslcert": "PGSSLCERT", "sslkey": "PGSSLKEY",
	"application_name": "PGAPPNAME", "connect_timeout": "PGCONNECT_TIMEOUT", "options": "PGOPTIONS",
	"hostaddr": "", // from the environment it would change the machine behind a host in the URL
}

// sessionParams may be given like settings; others go through options=-c name=value.
var sessionParams = map[string]bool{
	"statement_timeout": true, "lock_timeout": true, "idle_in_transaction_session_timeout": true,
	"idle_session_timeout": true, checkInterval: true, "search_path": true,
}

// harmless are settings which ask for what happens anyway.
var harmless = map[string]string{
	"channel_binding": "prefer disable", "gssencmode": "prefer disable", "target_session_attrs": "any",
	"client_encoding": "UTF8 utf8 UTF-8 utf-8 auto", "keepalives": "1",
}

// ParseURL reads DATABASE_URL in either form of libpq, postgres://… or key=value,
// with the PG… variables of getenv where it is silent, and then localhost, port
// 5432, the user of this process and a database of the user's name. It refuses settings it
// cannot honour, several hosts, and connections to other machines that would not be verified,
// unless IMAGEREQUESTS_DATABASE_INSECURE is true. It reads the certificate files.
// No error holds a password.
func ParseURL(raw string, getenv func(string) string) (Config, error) {
	if getenv == nil {
		getenv = func(string) string { return "" }
	}
	settings, err := split(raw)
	if err != nil {
		return Config{}, fmt.Errorf("DATABASE_URL: %w", err)
	}
	for name, env := range fallbacks {
		if settings[name] == "" && env != "" {
			settings[name] = getenv(env)
		}
	}
	cfg, err := settings.config(getenv(insecureEnv) == "true")
	if err != nil {
		return Config{}, fmt.Errorf("DATABASE_URL: %w", err)
	}
	return cfg, nil
}

// settings are by their names in libpq.
type settings map[string]string

func split(raw string) (settings, error) {
	if !cleanText(raw) {
		return nil, ErrText
	}
	for _, scheme := range []string{"postgres://", "postgresql://"} {
		if rest, ok := strings.CutPrefix(raw, scheme); ok {
			return splitURL(rest)
		}
	}
	if strings.Contains(raw, "://") || !strings.Contains(raw, "=") {
		return nil, errors.New("it is neither postgres://user@host/database nor host=… dbname=…")
	}
	return splitPairs(raw)
}

// add refuses what is not known. The name is shown unless it may be the rest of a
// password that was not quoted.
func (s settings) add(name, value string, showName bool) error {
	_, known := fallbacks[name]
	switch {
	case !cleanText(value):
		return ErrText
	case known || sessionParams[name]:
		s[name] = value
		return nil
	case name == "ssl" && value == "true":
		s["sslmode"] = "require"
		return nil
	case harmless[name] != "":
		if !strings.Contains(" "+harmless[name]+" ", " "+value+" ") {
			return fmt.Errorf("%s can only be %s here", name, strings.ReplaceAll(harmless[name], " ", " or "))
		}
		return nil
	case showName && isName(name):
		return fmt.Errorf("the parameter %s is not supported", name)
	default:
		return errors.New("a parameter is not supported (does the password need quoting?)")
	}
}

func isName(s string) bool {
	return s != "" && len(s) < 64 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz_.0123456789") == ""
}

// config checks the settings and makes a Config of them.
func (s settings) config(insecure bool) (Config, error) {
	cfg := Config{
		User: s["user"], Password: s["password"], Database: s["dbname"], AppName: s["application_name"],
		AllowInsecure: insecure, ConnParams: map[string]string{},
	}
	if cfg.User == "" {
		me, err := user.Current()
		if err != nil || me.Username == "" {
			return Config{}, errors.New("it names no user")
		}
		cfg.User = me.Username
	}
	for _, step := range []func(*Config) error{s.address, s.encryption, s.timeouts, s.session} {
		if err := step(&cfg); err != nil {
			return Config{}, err
		}
	}
	cfg, err := cfg.complete()
	if err != nil {
		return Config{}, err
	}
	return cfg, nil
}

func (s settings) address(cfg *Config) error {
	port := cmp.Or(s["port"], "5432")
	host := cmp.Or(s["hostaddr"], s["host"], "localhost")
	if strings.Contains(host+port, ",") {
		return errors.New("several hosts are not supported: name one, such as the address that follows the primary")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return errors.New("the port is not a number from 1 to 65535 (in a URL, / ? # @ : % in a password are written %2F and so on)")
	}
	switch {
	case host[0] != '/' && host[0] != '@':
		cfg.Network, cfg.Addr = "tcp", net.JoinHostPort(host, port)
	case strings.HasPrefix(path.Base(host), ".s.PGSQL."):
		cfg.Network, cfg.Addr = "unix", host
	default:
		cfg.Network, cfg.Addr = "unix", strings.TrimRight(host, "/")+"/.s.PGSQL."+port
	}
	return nil
}

func (s settings) timeouts(cfg *Config) error {
	if v := s["connect_timeout"]; v != "" {
		n, err := strconv.ParseUint(v, 10, 16)
		if err != nil {
			return errors.New("connect_timeout is not a number of seconds")
		}
		cfg.DialTimeout = time.Duration(n) * time.Second
	}
	return nil
}

// session collects run-time parameters; those said by name win over options.
func (s settings) session(cfg *Config) error {
	words := strings.Fields(s["options"])
	for i := 0; i < len(words); i++ {
		word := words[i]
		if word == "-c" && i+1 < len(words) {
			i++
			word = "-c" + words[i]
		}
		rest, ok := strings.CutPrefix(word, "-c")
		if !ok {
			rest, ok = strings.CutPrefix(word, "--")
		}
		name, value, set := strings.Cut(rest, "=")
		name = strings.ToLower(strings.ReplaceAll(name, "-", "_"))
		if !ok || !set || !isName(name) {
			return errors.New("options must be a list of -c name=value")
		}
		cfg.ConnParams[name] = value
	}
	for name := range sessionParams {
		if v := s[name]; v != "" {
			cfg.ConnParams[name] = v
		}
	}
	return nil
}
