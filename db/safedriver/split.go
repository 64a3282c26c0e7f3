package safedriver

import (
	"errors"
	"net/url"
	"strings"
)

// splitURL takes apart what follows postgres://. net/url is of no use: it refuses
// sockets in the host and puts the password into its errors.
func splitURL(rest string) (settings, error) {
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	dbname, query, _ := strings.Cut(strings.TrimPrefix(tail, "/"), "?")
	if strings.HasPrefix(tail, "?") {
		dbname, query = "", tail[1:]
	}
	if strings.Contains(dbname, "@") {
		return nil, errors.New("there is an @ behind the host (in a URL, / ? @ % in a password are written %2F %3F %40 %25)")
	}

	s := settings{}
	host := authority
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		host = authority[at+1:]
		name, password, _ := strings.Cut(authority[:at], ":")
		if err := s.unescape("user", name, "password", password); err != nil {
			return nil, err
		}
	}
	host, port, err := splitHost(host)
	if err != nil {
		return nil, err
	}
	if err := s.unescape("host", host, "port", port, "dbname", dbname); err != nil {
		return nil, err
	}
	return s, s.addQuery(query)
}

func (s settings) addQuery(query string) error {
	showNames := !strings.Contains(query, "@") // or it may be the end of a password
	for pair := range strings.SplitSeq(query, "&") {
		if pair == "" {
			continue
		}
		name, escaped, ok := strings.Cut(pair, "=")
		value, err := url.PathUnescape(escaped) // a + is a +, as in libpq
		if err != nil || !ok {
			return errors.New("what follows the ? is not a list of name=value, percent-encoded")
		}
		if err := s.add(name, value, showNames); err != nil {
			return err
		}
		showNames = showNames && name != "password" // it may have held an &
	}
	return nil
}

// unescape takes names and values in turn.
func (s settings) unescape(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		value, err := url.PathUnescape(pairs[i+1])
		if err != nil {
			return errors.New("the " + pairs[i] + " is not percent-encoded properly (a % itself is written %25)")
		}
		if err := s.add(pairs[i], value, true); err != nil {
			return err
		}
	}
	return nil
}

func splitHost(s string) (host, port string, err error) {
	if v6, ok := strings.CutPrefix(s, "["); ok {
		host, port, ok = strings.Cut(v6, "]")
		if !ok || port != "" && port[0] != ':' {
			return "", "", errors.New("the IPv6 address is not [address] or [address]:port")
		}
		return host, strings.TrimPrefix(port, ":"), nil
	}
	if strings.Contains(s, ",") {
		return s, "", nil // several hosts, refused later
	}
	host, port, _ = strings.Cut(s, ":")
	if strings.Contains(port, ":") {
		return "", "", errors.New("an IPv6 address must stand in brackets")
	}
	return host, port, nil
}

// splitPairs takes apart key=value words; values may be quoted with ' and have
// characters escaped with \.
func splitPairs(rest string) (settings, error) {
	s := settings{}
	showNames := true
	for {
		rest = strings.TrimLeft(rest, spaces)
		if rest == "" {
			return s, nil
		}
		name, after, ok := strings.Cut(rest, "=")
		name = strings.TrimRight(name, spaces)
		if !ok || strings.ContainsAny(name, spaces) {
			return nil, errors.New("it is not a list of key=value (a value with spaces is written 'like this')")
		}
		value, next, ok := cutValue(strings.TrimLeft(after, spaces))
		if !ok {
			return nil, errors.New("a quoted value has no end")
		}
		if err := s.add(name, value, showNames); err != nil {
			return nil, err
		}
		showNames = showNames && name != "password" // it may have held a space or a quote
		rest = next
	}
}

const spaces = " \t\n\v\f\r"

// cutValue reads one value and returns what follows it.
func cutValue(s string) (value, rest string, ok bool) {
	s, quoted := strings.CutPrefix(s, "'")
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && i+1 < len(s):
			i++
			b.WriteByte(s[i])
		case quoted && c == '\'':
			return b.String(), s[i+1:], true
		case !quoted && strings.IndexByte(spaces, c) >= 0:
			return b.String(), s[i:], true
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), "", !quoted
}
