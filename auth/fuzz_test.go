package auth

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
)

// FuzzAddress lets a client say where it comes from: it is believed to a proxy that is trusted, and else counts for nothing.
func FuzzAddress(f *testing.F) {
	for _, forwarded := range []string{"", "1.2.3.4", "1.2.3.4, 10.0.0.1", "10.0.0.1,,", "[::1]:80, ::ffff:10.0.0.1", "fe80::1%eth0", "x, 1.2.3.4:99999", " , ,"} {
		f.Add("10.0.0.2:1", forwarded)
		f.Add("192.0.2.1:1", forwarded)
	}
	f.Add("", "1.2.3.4")
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("fd00::/8")}
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
		r.RemoteAddr = peer
		alone := Address(r, trusted)
		r.Header["X-Forwarded-For"] = []string{forwarded}
		if got := Address(r, trusted); got != alone && !Trusted(alone, trusted) {
			t.Errorf("%q is not trusted, and says %q: %v", peer, forwarded, got)
		}
		if n := network(Address(r, trusted)); n.IsValid() && n.Addr().Zone() != "" {
			t.Errorf("%q and %q: a caller of %v", peer, forwarded, n)
		}
	})
}
