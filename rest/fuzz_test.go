package rest

import (
	"math"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// FuzzNegotiation reads headers and parameters of any kind: weights are weights, an address that is given out is of a host that
// is ours, and a page has a size.
func FuzzNegotiation(f *testing.F) {
	for _, accept := range []string{"", "*/*", "application/json;q=0.5, application/problem+json", "application/json;q=NaN", ";q=1,,", "a/b;q=1e400;q=-1", "\x00;q"} {
		f.Add(accept, "localhost:8080", "images.example.org", "https", `"abc", W/"d"`, "page_size=2&ordering=-name,x")
	}
	f.Add("", "[::1]:80", "evil.example.org, images.example.org", "javascript", "*", "page_size=99999999999999999999&page=x")
	f.Add("", "images.example.org\r\nX: y", "user@images.example.org", "", `"`, "page_size=%2B1&search=%00")
	o := &Options{Hosts: []string{"images.example.org"}, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}}
	f.Fuzz(func(t *testing.T, accept, host, forwardedHost, forwardedProto, match, query string) {
		for name, weight := range parsePreferences([]string{accept}) {
			if math.IsNaN(weight) || weight < 0 || weight > 1 || strings.TrimSpace(name) != name || name == "" {
				t.Errorf("%q weighs %q %v", accept, name, weight)
			}
		}
		r := &http.Request{Method: http.MethodGet, Host: host, RemoteAddr: "10.1.2.3:4", URL: &url.URL{Path: "/image_requests", RawQuery: query}, Header: http.Header{
			"X-Forwarded-Host": {forwardedHost}, "X-Forwarded-Proto": {forwardedProto}, "Accept": {accept}, "If-None-Match": {match},
		}}
		if base := o.base(r); base != "" {
			u, err := url.Parse(base)
			if err != nil || u.Scheme != "http" && u.Scheme != "https" || !o.known(u.Host) || u.User != nil || u.Path != "" || strings.ContainsAny(base, "\r\n\x00<>\" ") {
				t.Errorf("%q, %q and %q give out %q", host, forwardedHost, forwardedProto, base)
			}
		}
		x := &exchange{handler: &handler{*o}, r: r, query: parseQuery(query)}
		if n := x.pageSize(); n < 1 || n > maxPageSize {
			t.Errorf("%q: a page of %d", query, n)
		}
		if filter, _, err := x.wanted(); err == nil && filter.Problems() != nil {
			t.Errorf("%q: the filter %+v is taken, and has problems", query, filter)
		}
		_ = matches(r.Header.Values("If-None-Match"), `"abc"`)
	})
}
