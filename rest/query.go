package rest

import (
	"net/url"
	"strings"
)

// values are the parameters of a query or a form.
type values map[string][]string

// parseQuery reads a query or form the way the framework does: nothing is an error and nothing is dropped, a "%" that
// begins no escape stands for itself, and ";" is a character like others. (url.ParseQuery drops what it dislikes.)
func parseQuery(s string) values {
	v := values{}
	for pair := range strings.SplitSeq(s, "&") {
		if pair == "" {
			continue
		}
		name, value, _ := strings.Cut(pair, "=")
		name = unescape(name)
		v[name] = append(v[name], unescape(value))
	}
	return v
}

func unescape(s string) string {
	if plain, err := url.QueryUnescape(s); err == nil {
		return plain
	}
	parts := strings.Split(s, "%")
	for i, part := range parts[1:] {
		if len(part) >= 2 {
			if _, err := url.QueryUnescape("%" + part[:2]); err == nil {
				parts[i+1] = "%" + part
				continue
			}
		}
		parts[i+1] = "%25" + part
	}
	plain, _ := url.QueryUnescape(strings.Join(parts, "")) // each "%" begins an escape now
	return plain
}

// last is the parameter's last value, the one that counts; "" if it is missing.
func (v values) last(name string) string {
	if all := v[name]; len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

// filled are the parameter's values that are not empty.
func (v values) filled(name string) []string {
	var filled []string
	for _, s := range v[name] {
		if s != "" {
			filled = append(filled, s)
		}
	}
	return filled
}
