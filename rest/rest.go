// Package rest serves the documented paths /image_requests and /image_requests/{id}: their bytes, and for what the
// document leaves open the behaviour of Django REST framework 3, which the clients of these paths were written against.
//
// It is a thin skin: it reads a request, calls the one method of db.Store that GraphQL calls, too, and writes the answer.
// All that it adds over the framework is told in headers (ETag, Link, Idempotency-Key, RateLimit-*) or has to be asked
// for (gzip, application/problem+json), so that a client which knows the framework sees no difference.
package rest

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"imagerequests/auth"
	"imagerequests/db"
	"imagerequests/imaging"
	"imagerequests/render"
)

// Options say what is served, and for whom.
type Options struct {
	Store    *db.Store
	Auth     *auth.Authenticator
	Throttle *auth.Throttle
	Turns    *auth.Turns // nil: any number of requests at once
	Log      *slog.Logger

	Prefix  string // what stands before /image_requests: "" or such as "/api/v1"
	BaseURL string // scheme and host of absolute links, such as "https://images.example.org"; "": those of the request

	Hosts          []string       // host names (or name:port) that a request may name for its links; loopback always may
	TrustedProxies []netip.Prefix // whose X-Forwarded-Host and -Proto are believed
	Origins        []string       // pages that may call from a browser, such as "https://app.example.org", or "*"; none: no CORS
}

const collectionPath = "/image_requests"

// resource is one of the two documented kinds of path.
type resource struct {
	name, description string
	allow             string
	get, post         func(*exchange) ([]byte, error)
}

var (
	collection = resource{
		name: "Image Request Collection", description: "Collection of all Image Requests.",
		allow: "GET, POST, HEAD, OPTIONS", get: (*exchange).list, post: (*exchange).request,
	}
	single = resource{
		name: "Image Request", description: "A single Image Request object.",
		allow: "GET, HEAD, OPTIONS", get: (*exchange).item,
	}
	nowhere = resource{
		allow: "GET, HEAD, OPTIONS", get: func(*exchange) ([]byte, error) { return nil, imaging.ErrNotFound() },
	}
)

// handler serves the paths. It is safe for concurrent use.
type handler struct{ Options }

// New makes the handler of Prefix/image_requests and Prefix/image_requests/{id}, with and without a slash at the end;
// any other path is NOT_FOUND. It never redirects. It fails if the options are unsafe or incomplete.
//
// Give it Prefix+"/image_requests" and all below, whatever the method: 405 is answered here. An http.ServeMux in front
// redirects paths with "//" or ".." itself; a comparison of the path does not.
func New(o Options) (http.Handler, error) {
	if o.Store == nil || o.Auth == nil || o.Throttle == nil || o.Log == nil {
		return nil, errors.New("rest: store, authenticator, throttle and log are needed")
	}
	if err := o.check(); err != nil {
		return nil, err
	}
	return &handler{o}, nil
}

// exchange is one request and its answer.
type exchange struct {
	*handler
	w        http.ResponseWriter
	r        *http.Request
	resource *resource
	id       string // of the path, as it was sent
	query    values
	problem  bool // errors are to be application/problem+json
	actor    imaging.Actor
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{handler: h, w: w, r: r}
	x.resource, x.id = h.route(r.URL.Path)
	x.open()
	if x.preflight() {
		return
	}
	body, err := x.serve()
	if err != nil {
		x.fail(err)
		return
	}
	x.succeed(body)
	render.Free(body)
}

func (h *handler) route(path string) (of *resource, id string) {
	tail, ok := strings.CutPrefix(path, h.Prefix+collectionPath)
	switch id = strings.TrimSuffix(strings.TrimPrefix(tail, "/"), "/"); {
	case !ok:
		return &nowhere, ""
	case tail == "", tail == "/":
		return &collection, ""
	case tail[0] != '/', id == "", strings.Contains(id, "/"):
		return &nowhere, ""
	}
	return &single, id
}

// serve checks in the framework's order: what can be answered (406), who asks (401), how often (429), what is asked for
// (405), and only then the body.
func (x *exchange) serve() ([]byte, error) {
	if err := x.negotiate(); err != nil {
		return nil, err
	}
	done, err := x.Turns.Take(x.r.Context())
	if err != nil {
		return nil, err
	}
	defer done()
	ctx, cancel := context.WithTimeout(x.r.Context(), auth.OperationTime)
	defer cancel()
	x.r = x.r.WithContext(ctx)
	if err := x.identify(); err != nil {
		return nil, err
	}
	switch method := x.r.Method; {
	case method == http.MethodGet, method == http.MethodHead:
		return x.resource.get(x)
	case method == http.MethodOptions:
		return x.metadata(), nil
	case method == http.MethodPost && x.resource.post != nil:
		done() // the body takes as long as the client likes
		return x.resource.post(x)
	default:
		return nil, refuse(http.StatusMethodNotAllowed, imaging.Invalid, `Method "%s" not allowed.`, method)
	}
}

// identify finds out who asks and takes the request from their budget. Whoever would change something has to sign in,
// with a token that may.
func (x *exchange) identify() (err error) {
	actor, budget, err := x.Throttle.Admit(x.Auth, x.r)
	x.actor = actor
	if budget.Limit > 0 {
		h := x.w.Header()
		h.Set("RateLimit-Limit", strconv.Itoa(budget.Limit))
		h.Set("RateLimit-Remaining", strconv.Itoa(budget.Remaining))
		h.Set("RateLimit-Reset", strconv.Itoa(seconds(budget.Reset)))
	}
	if err != nil {
		return err
	}
	switch x.r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return nil
	}
	return x.actor.MayWrite()
}

// metadata is what OPTIONS answers.
func (x *exchange) metadata() []byte {
	b := appendText([]byte(`{"name":`), x.resource.name)
	b = appendText(append(b, `,"description":`...), x.resource.description)
	return append(b, `,"renders":["application/json"],"parses":["application/json","application/x-www-form-urlencoded","multipart/form-data"]}`...)
}

// seconds rounds up, so that who waits so long does not come too early.
func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }
