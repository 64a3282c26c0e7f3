package auth

import (
	"context"
	"math"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"imagerequests/imaging"
)

// callers is how many buckets are kept. When there are more, those that are full are forgotten first: they say no more
// than a new one would.
const callers = 10_000

// RequestPoints is what a request takes from a budget. Budgets are counted in points, so that a GraphQL operation can take as
// much as it costs; rate and burst are set, and told to clients of the REST interface, in requests.
const RequestPoints = 200

// MostOpen is how many sockets and streams a caller has at once, where there is a budget at all: each takes memory for as long as
// it likes, which no budget of requests holds back.
const MostOpen = 200

// Throttle gives each caller, user or address, so many requests a second, with a burst. Both doors share one.
type Throttle struct {
	limit   rate.Limit // points a second
	burst   int        // points
	trusted []netip.Prefix
	now     func() time.Time

	mu      sync.Mutex
	buckets map[payer]*rate.Limiter
	open    map[payer]int // sockets and streams
}

// NewThrottle makes a throttle of so many requests; perSecond 0 means no limit. Trusted are the proxies whose
// X-Forwarded-For is believed.
func NewThrottle(perSecond float64, burst int, trusted []netip.Prefix) *Throttle {
	limit := rate.Limit(perSecond * RequestPoints)
	if perSecond == 0 {
		limit = rate.Inf
	}
	return &Throttle{limit: limit, burst: min(burst, math.MaxInt32) * RequestPoints, trusted: trusted, now: time.Now, buckets: map[payer]*rate.Limiter{}, open: map[payer]int{}}
}

// Budget is what a caller has left; the zero Budget is that of callers without a limit.
type Budget struct {
	Limit     int           // requests that a whole budget is good for
	Remaining int           // requests that would be served at once
	Points    int           // the same, in points
	Reset     time.Duration // until the budget is whole again
}

// Admit finds out who sent the request and takes it from their budget. Bad tokens have a budget of
// their own for each address: each try costs us a look into the database. UNAUTHENTICATED, UNAVAILABLE, LIMITED.
func (t *Throttle) Admit(a *Authenticator, r *http.Request) (imaging.Actor, Budget, error) {
	actor, err := a.Actor(r)
	if imaging.CodeOf(err) == imaging.Unauthenticated {
		if budget, limited := t.take(payer{network: t.caller(r), badTokens: true}, RequestPoints); limited != nil {
			return actor, budget, limited
		}
	}
	if err != nil {
		return actor, Budget{}, err
	}
	budget, err := t.Take(r, actor)
	return actor, budget, err
}

// Take spends one request of the caller. LIMITED, with the time to wait, if nothing is left.
func (t *Throttle) Take(r *http.Request, a imaging.Actor) (Budget, error) {
	return t.take(payerOf(a, t.caller(r)), RequestPoints)
}

// Open counts a socket or stream of an actor until closed is called, once. LIMITED if they have MostOpen already.
func (t *Throttle) Open(r *http.Request, a imaging.Actor) (closed func(), err error) {
	if t.limit == rate.Inf {
		return func() {}, nil
	}
	by := payerOf(a, t.caller(r))
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.open[by] >= MostOpen {
		return nil, imaging.Errorf(imaging.Limited, "You have %d sockets and streams open, which is the limit. Close one first.", MostOpen)
	}
	t.open[by]++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.open[by]--; t.open[by] == 0 {
			delete(t.open, by)
		}
	}, nil
}

type visitKey struct{}

// visit is a request, or all that a connection carries: where it comes from, and the points paid for it beforehand.
type visit struct {
	network netip.Prefix
	paid    atomic.Int64
}

// Enter carries in the context who pays for the operations of a request that Admit has let in: whoever is signed in there
// or else its address. The first operation has been paid with the request, as far as that goes.
func (t *Throttle) Enter(r *http.Request) context.Context {
	v := &visit{network: t.caller(r)}
	v.paid.Store(RequestPoints)
	return context.WithValue(r.Context(), visitKey{}, v)
}

// Spend takes points from the budget of who pays in this context. LIMITED, with the time to wait, if they are not there. A
// whole budget is enough for anything: more than that is never asked.
func (t *Throttle) Spend(ctx context.Context, points int) (Budget, error) {
	v, _ := ctx.Value(visitKey{}).(*visit)
	if v == nil {
		v = &visit{} // nobody let this in: all such share a budget
	}
	if paid := int(v.paid.Swap(0)); paid > points {
		v.paid.Add(int64(paid - points))
		points = 0
	} else {
		points -= paid
	}
	return t.take(payerOf(From(ctx), v.network), points)
}

// caller is the network that the request comes from.
func (t *Throttle) caller(r *http.Request) netip.Prefix { return network(Address(r, t.trusted)) }

// payer is whose a budget is: a user's or else a network's, which has another for bad tokens.
type payer struct {
	user      string
	network   netip.Prefix
	badTokens bool
}

// payerOf is who pays for an actor who comes from there.
func payerOf(a imaging.Actor, from netip.Prefix) payer {
	if a.SignedIn() {
		return payer{user: a.Username}
	}
	return payer{network: from}
}

func (t *Throttle) take(by payer, points int) (Budget, error) {
	if t.limit == rate.Inf {
		return Budget{}, nil
	}
	now := t.now()
	bucket := t.bucket(by, now)
	points = min(points, t.burst)
	ok := bucket.AllowN(now, points)
	tokens := bucket.TokensAt(now)
	left := max(0, int(tokens))
	b := Budget{Limit: t.burst / RequestPoints, Remaining: left / RequestPoints, Points: left, Reset: t.wait(float64(t.burst) - tokens)}
	if ok {
		return b, nil
	}
	wait := max(time.Duration(math.Ceil(t.wait(float64(points)-tokens).Seconds())), 1) * time.Second // rounded up: it must be enough
	e := imaging.Errorf(imaging.Limited, "Request was throttled. Expected available in %d seconds.", int(wait.Seconds()))
	if wait == time.Second {
		e.Message = "Request was throttled. Expected available in 1 second."
	}
	e.RetryAfter = wait
	return b, e
}

func (t *Throttle) wait(tokens float64) time.Duration {
	return time.Duration(tokens / float64(t.limit) * float64(time.Second))
}

func (t *Throttle) bucket(of payer, now time.Time) *rate.Limiter {
	t.mu.Lock()
	defer t.mu.Unlock()
	b := t.buckets[of]
	if b == nil {
		if len(t.buckets) >= callers {
			t.forget(now)
		}
		b = rate.NewLimiter(t.limit, t.burst)
		of.user = strings.Clone(of.user) // not what it was read with
		t.buckets[of] = b
	}
	return b
}

func (t *Throttle) forget(now time.Time) {
	for of, b := range t.buckets {
		if b.TokensAt(now) >= float64(t.burst) {
			delete(t.buckets, of)
		}
	}
	if len(t.buckets) >= callers { // all of them busy: better to be generous than to grow without end
		clear(t.buckets)
	}
}

// Address is where the request comes from: the peer or, if that is a trusted proxy, the last address in
// X-Forwarded-For that is not one.
func Address(r *http.Request, trusted []netip.Prefix) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	peer, _ := netip.ParseAddr(host)
	if !Trusted(peer, trusted) {
		return peer.Unmap()
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, text := range slices.Backward(hops) {
		a, err := hop(text)
		if err != nil {
			break
		}
		if peer = a; !Trusted(a, trusted) {
			break
		}
	}
	return peer.Unmap()
}

// network is what one caller has: an IPv4 address, or a /64 of IPv6, of which anybody has more addresses than we have room.
func network(a netip.Addr) netip.Prefix {
	bits := a.BitLen()
	if a.Is6() {
		bits = 64
	}
	p, _ := a.WithZone("").Prefix(bits) // fails only for no address at all, which is one caller, too
	return p
}

// hop reads one element of X-Forwarded-For, with or without a port.
func hop(text string) (netip.Addr, error) {
	text = strings.TrimSpace(text)
	if with, err := netip.ParseAddrPort(text); err == nil {
		return with.Addr(), nil
	}
	return netip.ParseAddr(text)
}

// Trusted tells whether the address is one of the proxies.
func Trusted(a netip.Addr, proxies []netip.Prefix) bool {
	a = a.Unmap()
	return slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(a) })
}
