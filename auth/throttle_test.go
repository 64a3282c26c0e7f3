package auth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"imagerequests/imaging"
)

func networks(t *testing.T, texts ...string) []netip.Prefix {
	t.Helper()
	var out []netip.Prefix
	for _, s := range texts {
		p, err := netip.ParsePrefix(s)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func from(peer string, forwarded ...string) *http.Request {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil)
	r.RemoteAddr = peer
	for _, f := range forwarded {
		r.Header.Add("X-Forwarded-For", f)
	}
	return r
}

func TestAddress(t *testing.T) {
	t.Parallel()
	trusted := networks(t, "10.0.0.0/8", "fd00::/8")
	for _, test := range []struct {
		name, peer string
		forwarded  []string
		want       string
	}{
		{"a peer", "192.0.2.1:1234", nil, "192.0.2.1"},
		{"a peer over IPv6", "[2001:db8::1]:1234", nil, "2001:db8::1"},
		{"an IPv4 peer in IPv6 writing", "[::ffff:192.0.2.1]:1234", nil, "192.0.2.1"},
		{"a peer without a port", "192.0.2.1", nil, "192.0.2.1"},
		{"no address at all", "@", nil, "invalid IP"},
		{"a spoofed header", "192.0.2.1:1234", []string{"198.51.100.7"}, "192.0.2.1"},
		{"a spoofed header that names a proxy", "192.0.2.1:1234", []string{"10.0.0.1"}, "192.0.2.1"},
		{"a spoofed header without a peer", "@", []string{"198.51.100.7"}, "invalid IP"},
		{"a proxy without the header", "10.0.0.1:1234", nil, "10.0.0.1"},
		{"a proxy with an empty header", "10.0.0.1:1234", []string{""}, "10.0.0.1"},
		{"a proxy", "10.0.0.1:1234", []string{"198.51.100.7"}, "198.51.100.7"},
		{"a proxy over IPv6", "[fd00::1]:1234", []string{"2001:db8::7"}, "2001:db8::7"},
		{"a proxy in IPv6 writing", "[::ffff:10.0.0.1]:1234", []string{"198.51.100.7"}, "198.51.100.7"},
		{"a hop in IPv6 writing", "10.0.0.1:1234", []string{"198.51.100.7, ::ffff:10.0.0.2"}, "198.51.100.7"},
		{"a client in IPv6 writing", "10.0.0.1:1234", []string{"::ffff:198.51.100.7"}, "198.51.100.7"},
		{"a chain of proxies", "10.0.0.1:1234", []string{"198.51.100.7, 10.0.0.3, 10.0.0.2"}, "198.51.100.7"},
		{"what the client wrote itself", "10.0.0.1:1234", []string{"203.0.113.9, 198.51.100.7, 10.0.0.2"}, "198.51.100.7"},
		{"proxies that the client wrote itself", "10.0.0.1:1234", []string{"10.9.9.9, 198.51.100.7"}, "198.51.100.7"},
		{"several headers are one list", "10.0.0.1:1234", []string{"203.0.113.9", "198.51.100.7", "10.0.0.2"}, "198.51.100.7"},
		{"all of them proxies", "10.0.0.1:1234", []string{"10.0.0.3,10.0.0.2"}, "10.0.0.3"},
		{"garbage", "10.0.0.1:1234", []string{"unknown"}, "10.0.0.1"},
		{"garbage hides what is before it", "10.0.0.1:1234", []string{"198.51.100.7, unknown, 10.0.0.2"}, "10.0.0.2"},
		{"garbage before the client", "10.0.0.1:1234", []string{"<script>,,198.51.100.7"}, "198.51.100.7"},
		{"an open end", "10.0.0.1:1234", []string{"198.51.100.7,"}, "10.0.0.1"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := Address(from(test.peer, test.forwarded...), trusted).String(); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestTrusted(t *testing.T) {
	t.Parallel()
	proxies := networks(t, "10.0.0.0/8", "2001:db8::/32")
	for text, want := range map[string]bool{
		"10.0.0.1": true, "10.255.255.255": true, "11.0.0.0": false, "::ffff:10.0.0.1": true, "::10.0.0.1": false,
		"2001:db8::1": true, "2001:db9::1": false, "127.0.0.1": false,
	} {
		if got := Trusted(netip.MustParseAddr(text), proxies); got != want {
			t.Errorf("%s: %v, want %v", text, got, want)
		}
	}
	if Trusted(netip.Addr{}, networks(t, "0.0.0.0/0", "::/0")) {
		t.Error("no address is trusted")
	}
	if Trusted(netip.MustParseAddr("10.0.0.1"), nil) {
		t.Error("somebody is trusted although nobody is")
	}
}

// clock is a throttle's time, moved by the test.
type clock struct{ t time.Time }

func newThrottle(perSecond float64, burst int, trusted ...netip.Prefix) (*Throttle, *clock) {
	c := &clock{time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)}
	th := NewThrottle(perSecond, burst, trusted)
	th.now = func() time.Time { return c.t }
	return th, c
}

func (c *clock) pass(d time.Duration) { c.t = c.t.Add(d) }

var ann = imaging.Actor{Username: "ann"}

func TestThrottle(t *testing.T) {
	t.Parallel()
	th, clock := newThrottle(2, 3)
	limited := func(seconds time.Duration) *imaging.Error {
		text := fmt.Sprintf("%d seconds", seconds)
		if seconds == 1 {
			text = "1 second"
		}
		return &imaging.Error{Code: imaging.Limited, Message: "Request was throttled. Expected available in " + text + ".", RetryAfter: seconds * time.Second}
	}
	for i, step := range []struct {
		pass time.Duration
		want Budget
		told *imaging.Error
	}{
		{0, Budget{Limit: 3, Remaining: 2, Points: 400, Reset: 500 * time.Millisecond}, nil},
		{0, Budget{Limit: 3, Remaining: 1, Points: 200, Reset: time.Second}, nil},
		{0, Budget{Limit: 3, Remaining: 0, Reset: 1500 * time.Millisecond}, nil},
		{0, Budget{Limit: 3, Remaining: 0, Reset: 1500 * time.Millisecond}, limited(1)},
		{250 * time.Millisecond, Budget{Limit: 3, Remaining: 0, Points: 100, Reset: 1250 * time.Millisecond}, limited(1)},
		{250 * time.Millisecond, Budget{Limit: 3, Remaining: 0, Reset: 1500 * time.Millisecond}, nil}, // a refusal costs nothing
		{time.Hour, Budget{Limit: 3, Remaining: 2, Points: 400, Reset: 500 * time.Millisecond}, nil},
	} {
		clock.pass(step.pass)
		got, err := th.Take(from("192.0.2.1:1"), ann)
		if got != step.want {
			t.Errorf("step %d: budget %+v, want %+v", i, got, step.want)
		}
		if diff := cmp.Diff(step.told, asError(err), cmp.Comparer(func(a, b imaging.Error) bool { return a == b })); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", i, diff)
		}
	}
}

func asError(err error) *imaging.Error {
	var e *imaging.Error
	_ = errors.As(err, &e)
	return e
}

// TestRetryAfterIsEnough: who waits as long as told is served, at any speed and whenever they were refused.
func TestRetryAfterIsEnough(t *testing.T) {
	t.Parallel()
	for _, perSecond := range []float64{0.01, 1.0 / 60, 0.3, 0.5, 0.7, 1, 1.5, 3, 100} {
		for _, early := range []time.Duration{0, 1, 400 * time.Millisecond, 600 * time.Millisecond, 999 * time.Millisecond} {
			th, clock := newThrottle(perSecond, 1)
			if _, err := th.Take(from("192.0.2.1:1"), ann); err != nil {
				t.Fatal(err)
			}
			clock.pass(early)
			_, err := th.Take(from("192.0.2.1:1"), ann)
			if err == nil {
				continue // fast enough to be served
			}
			e := asError(err)
			if e == nil || e.Code != imaging.Limited || e.RetryAfter < time.Second || e.RetryAfter%time.Second != 0 {
				t.Fatalf("%v a second: %v", perSecond, err)
			}
			if want := time.Duration(float64(time.Second) / perSecond); e.RetryAfter > want+time.Second {
				t.Errorf("%v a second, refused after %v: told to wait %v", perSecond, early, e.RetryAfter)
			}
			clock.pass(e.RetryAfter)
			if _, err := th.Take(from("192.0.2.1:1"), ann); err != nil {
				t.Errorf("%v a second, refused after %v: waited %v as told, and then: %v", perSecond, early, e.RetryAfter, err)
			}
		}
	}
}

// TestSpend: an operation takes its points from the bucket that requests are taken from, in the name of whoever has signed
// in since, and the first one is paid with the request.
func TestSpend(t *testing.T) {
	t.Parallel()
	th, clock := newThrottle(1, 3) // 200 points a second, 600 at once
	r := from("192.0.2.1:1")
	if _, err := th.Take(r, ann); err != nil {
		t.Fatal(err)
	}
	nobody := th.Enter(r)
	known := WithActor(nobody, ann)
	for i, step := range []struct {
		pass   time.Duration
		points int
		left   int
		wait   time.Duration // if it is refused
	}{
		{0, RequestPoints - 50, 400, 0}, // of those paid with the request
		{0, 50, 400, 0},
		{0, 1, 399, 0},
		{0, 399, 0, 0},
		{0, 150, 0, time.Second},
		{time.Second, 150, 50, 0},
		{time.Second, 1_000_000, 250, 2 * time.Second},
		{2 * time.Second, 1_000_000, 0, 0}, // a whole bucket is enough for anything
	} {
		clock.pass(step.pass)
		b, err := th.Spend(known, step.points)
		e := asError(err)
		if b.Points != step.left || (e != nil) != (step.wait > 0) || e != nil && (e.Code != imaging.Limited || e.RetryAfter != step.wait) {
			t.Errorf("step %d: %+v, %v", i, b, err)
		}
	}
	if _, err := th.Take(r, ann); imaging.CodeOf(err) != imaging.Limited {
		t.Errorf("a request is served from a bucket that operations emptied: %v", err)
	}
	if b, err := th.Spend(nobody, 100); err != nil || b.Points != 500 {
		t.Errorf("the address pays for its user: %+v, %v", b, err)
	}
	if b, err := th.Spend(context.Background(), 600); err != nil || b.Points != 0 {
		t.Errorf("who was never let in: %+v, %v", b, err)
	}
	free, _ := newThrottle(0, 0)
	if b, err := free.Spend(known, 1_000_000); err != nil || b != (Budget{}) {
		t.Errorf("without a limit: %+v, %v", b, err)
	}
}

// TestCallersAreSeparate: each row spends the one request of its caller; two rows of one caller fail at the second.
func TestCallersAreSeparate(t *testing.T) {
	t.Parallel()
	th, _ := newThrottle(1, 1, networks(t, "10.0.0.0/8")...)
	for _, step := range []struct {
		name   string
		r      *http.Request
		actor  imaging.Actor
		served bool
	}{
		{"a user", from("192.0.2.1:1"), ann, true},
		{"the same user from elsewhere", from("192.0.2.2:1"), ann, false},
		{"another user, same address", from("192.0.2.1:1"), imaging.Actor{Username: "bob"}, true},
		{"nobody, same address", from("192.0.2.1:1"), imaging.Actor{}, true},
		{"nobody, same address, another port", from("192.0.2.1:2"), imaging.Actor{}, false},
		{"nobody, same address in IPv6 writing", from("[::ffff:192.0.2.1]:3"), imaging.Actor{}, false},
		{"nobody, with a spoofed address", from("192.0.2.1:1", "198.51.100.1"), imaging.Actor{}, false},
		{"nobody, another address", from("192.0.2.2:1"), imaging.Actor{}, true},
		{"nobody, behind a proxy", from("10.0.0.1:1", "198.51.100.1"), imaging.Actor{}, true},
		{"nobody else behind it", from("10.0.0.1:1", "198.51.100.2"), imaging.Actor{}, true},
		{"a user whose name is an address", from("192.0.2.9:1"), imaging.Actor{Username: "192.0.2.1"}, true},
		{"a user whose name is a key", from("192.0.2.9:1"), imaging.Actor{Username: "address 192.0.2.1"}, true},
	} {
		_, err := th.Take(step.r, step.actor)
		if served := err == nil; served != step.served {
			t.Errorf("%s: served %v, want %v (%v)", step.name, served, step.served, err)
		}
	}
}

func TestNoLimit(t *testing.T) {
	t.Parallel()
	th, _ := newThrottle(0, 0)
	for range 1000 {
		if b, err := th.Take(from("192.0.2.1:1"), ann); err != nil || b != (Budget{}) {
			t.Fatalf("%+v, %v", b, err)
		}
	}
	if len(th.buckets) != 0 {
		t.Errorf("%d callers are remembered for nothing", len(th.buckets))
	}
}

// TestThrottleForgets: the memory is bounded, whoever comes; who is still to wait is forgotten last.
func TestThrottleForgets(t *testing.T) {
	t.Parallel()
	visit := func(th *Throttle, n int) error {
		_, err := th.Take(from(fmt.Sprintf("[2001:db8:0:%x::1]:1", n)), imaging.Actor{})
		return err
	}
	t.Run("those with a full budget first", func(t *testing.T) {
		t.Parallel()
		th, clock := newThrottle(1, 1)
		for n := range callers - 1 {
			_ = visit(th, n)
		}
		clock.pass(time.Second) // they may come again
		if err := visit(th, callers-1); err != nil {
			t.Fatal(err)
		}
		if err := visit(th, callers); err != nil { // one too many
			t.Fatal(err)
		}
		if len(th.buckets) != 2 {
			t.Errorf("%d callers are remembered, want the 2 that are to wait", len(th.buckets))
		}
		if err := visit(th, callers-1); imaging.CodeOf(err) != imaging.Limited {
			t.Errorf("who is to wait was forgotten: %v", err)
		}
	})
	t.Run("all of them to wait", func(t *testing.T) {
		t.Parallel()
		th, _ := newThrottle(1, 1)
		for n := range 2*callers + 5 {
			if err := visit(th, n); err != nil {
				t.Fatal(err)
			}
			if len(th.buckets) > callers {
				t.Fatalf("%d callers are remembered", len(th.buckets))
			}
		}
	})
}

// TestThrottleAtOnce: many at the same moment get the burst and no more.
func TestThrottleAtOnce(t *testing.T) {
	t.Parallel()
	th, _ := newThrottle(1, 50)
	var served atomic.Int64
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for range 25 {
				if _, err := th.Take(from("192.0.2.1:1"), ann); err == nil {
					served.Add(1)
				}
				_, _ = th.Take(from(fmt.Sprintf("192.0.2.%d:1", i)), imaging.Actor{})
			}
		})
	}
	wg.Wait()
	if served.Load() != 50 {
		t.Errorf("%d were served, want 50", served.Load())
	}
}

func TestOneNetworkIsOneCaller(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		same bool
	}{
		{"2001:db8::1", "2001:db8::ffff:1", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"fe80::1%eth0", "fe80::2%eth1", true},
		{"192.0.2.1", "192.0.2.2", false},
	} {
		if same := network(netip.MustParseAddr(c.a)) == network(netip.MustParseAddr(c.b)); same != c.same {
			t.Errorf("%s and %s are one caller: %v", c.a, c.b, same)
		}
	}
}

func TestAHopMayHaveAPort(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{"192.0.2.1:80": "192.0.2.1", "[2001:db8::1]:80": "2001:db8::1", " 192.0.2.1 ": "192.0.2.1"} {
		if a, err := hop(text); err != nil || a.String() != want {
			t.Errorf("%q is %v, %v", text, a, err)
		}
	}
}

// TestOpen: so many sockets and streams each, which one that closes makes room for again.
func TestOpen(t *testing.T) {
	t.Parallel()
	th, _ := newThrottle(1, 1)
	here, there, bob := from("192.0.2.1:1"), from("192.0.2.2:1"), imaging.Actor{Username: "bob"}
	var open []func()
	opens := func(r *http.Request, a imaging.Actor, n int) {
		t.Helper()
		for range n {
			closed, err := th.Open(r, a)
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, closed)
		}
		if _, err := th.Open(r, a); imaging.CodeOf(err) != imaging.Limited {
			t.Errorf("one more is told %v", err)
		}
	}
	opens(here, ann, MostOpen)
	if _, err := th.Open(there, ann); imaging.CodeOf(err) != imaging.Limited {
		t.Errorf("from elsewhere she is told %v", err)
	}
	opens(here, bob, MostOpen)
	opens(here, imaging.Actor{}, MostOpen)
	opens(there, imaging.Actor{}, MostOpen)
	open[0]()
	open = open[1:]
	opens(here, ann, 1)
	for _, closed := range open {
		closed()
	}
	if len(th.open) != 0 {
		t.Errorf("%v are remembered", th.open)
	}
	unlimited, _ := newThrottle(0, 0)
	for range MostOpen + 1 {
		if _, err := unlimited.Open(here, ann); err != nil {
			t.Fatal(err)
		}
	}
}
