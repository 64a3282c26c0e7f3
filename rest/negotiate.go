package rest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"imagerequests/imaging"
)

const (
	typeJSON    = "application/json"
	typeProblem = "application/problem+json"
)

// negotiate finds out what the caller can read: 406 if that is not JSON, and 404, as in the framework, for an unknown
// ?format=. Who reads application/problem+json alone is served, too: our successes are then JSON all the same.
func (x *exchange) negotiate() error {
	x.query = parseQuery(x.r.URL.RawQuery)
	accept := parsePreferences(x.r.Header.Values("Accept"))
	plain := accept.quality(typeJSON, "application/*", "*/*", "*")
	problem := accept.quality(typeProblem)
	x.problem = problem > 0 && problem >= plain
	if format := x.query.last("format"); format != "" && format != "json" {
		return imaging.ErrNotFound()
	}
	if len(accept) > 0 && plain <= 0 && !x.problem {
		return refuse(http.StatusNotAcceptable, imaging.Invalid, "Could not satisfy the request Accept header.")
	}
	return nil
}

// preferences are the elements of an Accept or Accept-Encoding header with their weights; other parameters play no part.
type preferences map[string]float64

func parsePreferences(header []string) preferences {
	p := preferences{}
	for element := range strings.SplitSeq(strings.Join(header, ","), ",") {
		name, parameters, _ := strings.Cut(element, ";")
		if name = strings.ToLower(strings.TrimSpace(name)); name == "" {
			continue
		}
		weight := 1.0
		for parameter := range strings.SplitSeq(parameters, ";") {
			key, value, _ := strings.Cut(parameter, "=")
			if q, err := strconv.ParseFloat(strings.TrimSpace(value), 64); err == nil && strings.EqualFold(strings.TrimSpace(key), "q") && 0 <= q && q <= 1 {
				weight = q
			}
		}
		p[name] = max(p[name], weight)
	}
	return p
}

// quality is the weight of the first of the names that is there, the most specific one; -1 if none is.
func (p preferences) quality(names ...string) float64 {
	for _, name := range names {
		if q, ok := p[name]; ok {
			return q
		}
	}
	return -1
}

// gzipped tells whether the caller would rather have the body compressed.
func (x *exchange) gzipped() bool {
	return parsePreferences(x.r.Header.Values("Accept-Encoding")).quality("gzip", "x-gzip", "*") > 0
}

// open writes the headers that each answer has.
func (x *exchange) open() {
	h := x.w.Header()
	h.Set("Allow", x.resource.allow)
	h.Set("Vary", "Accept")
	h.Set("Cache-Control", "private, no-cache") // what is answered depends on who asks
	h.Set("X-Content-Type-Options", "nosniff")
	if len(x.Origins) == 0 {
		return
	}
	h.Set("Vary", "Accept, Origin")
	if origin := x.allowedOrigin(); origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		h.Set("Access-Control-Expose-Headers", "ETag, Link, Location, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Request-Id")
	}
}

// allowedOrigin is the page that asks, if it may. Tokens are sent by scripts and never by the browser itself, so that
// credentials need not be allowed, and "*" gives nothing away.
func (x *exchange) allowedOrigin() string {
	origin := x.r.Header.Get("Origin")
	switch {
	case origin == "":
		return ""
	case slices.Contains(x.Origins, "*"):
		return "*"
	case slices.Contains(x.Origins, origin):
		return origin
	}
	return ""
}

// preflight answers a browser's question whether a page may send a request, before anything else is looked at: browsers
// ask it without a token.
func (x *exchange) preflight() bool {
	h := x.w.Header()
	if x.r.Method != http.MethodOptions || h.Get("Access-Control-Allow-Origin") == "" || x.r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", x.resource.allow)
	h.Set("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Idempotency-Key, If-None-Match, X-Requested-With")
	h.Set("Access-Control-Max-Age", "600")
	x.w.WriteHeader(http.StatusNoContent)
	return true
}
