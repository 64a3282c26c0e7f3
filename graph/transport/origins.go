package transport

import (
	"fmt"
	"net/http"
	"slices"
)

// Origins are the web pages that may use the service from a browser: its own, as the zero value has it, and those named.
// Nobody signs in by cookie, so this is a second wall: a page without a token of its own could do no more than anybody. But
// it could keep sockets open from its readers' addresses.
type Origins struct {
	named      []string
	protection http.CrossOriginProtection
}

// NewOrigins makes them of origins such as "https://portal.example.org"; "*" stands for every page.
func NewOrigins(named ...string) (*Origins, error) {
	o := &Origins{named: named}
	for _, origin := range named {
		if origin == "*" {
			o.protection.AddInsecureBypassPattern("/")
		} else if err := o.protection.AddTrustedOrigin(origin); err != nil {
			return nil, fmt.Errorf("the origin %q is not like https://app.example.org: %w", origin, err)
		}
	}
	return o, nil
}

// Foreign tells whether a browser sent the request for a page that may not use the service, whatever its method.
func (o *Origins) Foreign(r *http.Request) bool {
	unsafe := *r
	unsafe.Method = http.MethodPost
	return o.protection.Check(&unsafe) != nil
}

// Handler refuses foreign pages that try to change something, and tells browsers which pages may read the answers.
func (o *Origins) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case o.preflight(w, r):
		case o.protection.Check(r) != nil:
			RefuseForeign(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// preflight adds the headers of CORS, and answers a browser's question whether a page may send a request.
func (o *Origins) preflight(w http.ResponseWriter, r *http.Request) bool {
	if len(o.named) == 0 {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := o.allowed(r.Header.Get("Origin"))
	if origin == "" {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", "Retry-After, X-Request-Id")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", "GET, POST")
	h.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Last-Event-ID")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return true
}

// allowed is what a browser is told of the page that asks; "" if it may not read the answer. Tokens are sent by scripts and
// never by the browser itself, so that "*" gives nothing away.
func (o *Origins) allowed(origin string) string {
	switch {
	case origin == "":
		return ""
	case slices.Contains(o.named, "*"):
		return "*"
	case slices.Contains(o.named, origin):
		return origin
	}
	return ""
}
