package chaos

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// clock gives the database a clock that can be set: these functions stand before those of the system for every session
// whose search_path says so, which is that of the servers' (see world). All that the service asks of a clock it asks the
// database's, but for how long its own waits last, which is told by one that cannot be set.
func (w *world) clock() {
	w.Helper()
	w.execute(`CREATE TABLE clock (ahead interval NOT NULL);
		INSERT INTO clock VALUES ('0');
		CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS 'SELECT pg_catalog.clock_timestamp() + ahead FROM public.clock';
		CREATE FUNCTION public.now() RETURNS timestamptz LANGUAGE sql STABLE AS 'SELECT pg_catalog.now() + ahead FROM public.clock'`)
	w.execute("ALTER ROLE CURRENT_USER SET search_path = public, pg_catalog")
}

// jumpClock goes an hour ahead, back by two, and to the right time, while a version is being imaged: the lease runs out with
// the first, and who held it can do no more; the second makes the next lease last, and nothing is done twice.
func (c *crew) jumpClock() {
	owner, hand := newClient(c.balancer.Base(), c.token(patron, imaging.Requester), patience), newClient(c.balancer.Base(), c.token("hand", imaging.Worker), patience)
	e := entry{owner: patron, key: patron + " " + uuid.NewString(), statuses: []string{"COMPLETED"}}
	instance, version := uuid.NewString(), ""
	send := func(ctx context.Context) (reply, error) {
		return owner.graphql(ctx, `mutation($input: RequestImageInput!) { requestImage(input: $input) { `+itsState+` } }`, map[string]any{"input": map[string]any{
			"name": e.key, "instance": instance, "provider": 2, "description": "edit 0", "tags": []string{"edit 0"}, "visibility": "PRIVATE", "idempotencyKey": e.key,
		}})
	}
	w := &writer{ledger: c.ledger, client: owner, name: patron, fail: c.Errorf}
	if !w.insist(send, func(r reply, _ int) (ok bool) { e.id, version, ok = outcome(r); return ok }) {
		return
	}
	e.versions = []string{version}
	first := c.claim(hand, version)
	c.execute("UPDATE clock SET ahead = '1 h'")
	eventually(c, "the lease has run out", func() bool {
		n, ok := c.query("SELECT count(*) FROM versions WHERE id = $1 AND status = 'APPROVED'", version)
		return ok && n == 1
	})
	if r := c.complete(hand, version, first); r.code() != "CONFLICT" {
		c.Errorf("with a lease that ran out it is answered %s", r.body)
	}
	c.execute("UPDATE clock SET ahead = '-1 h'")
	c.await(c, 10)
	second := c.claim(hand, version)
	c.execute("UPDATE clock SET ahead = '0'")
	if r := c.complete(hand, version, second); len(r.errors) > 0 || r.status != http.StatusOK {
		// the lease of an hour ago is over: it may have been taken back by now, and then the third is good
		third := c.claim(hand, version)
		if r := c.complete(hand, version, third); len(r.errors) > 0 || r.status != http.StatusOK {
			c.Errorf("with a good lease it is answered %s", r.body)
		}
	}
	n, ok := c.query("SELECT count(*) FROM events WHERE version_id = $1 AND action = 'COMPLETED'", version)
	if !ok || n != 1 {
		c.Errorf("it was completed %d times", n)
	}
	if e.events, ok = c.query("SELECT count(*) FROM events WHERE image_request_id = $1", e.id); !ok {
		c.Error("its events cannot be counted")
	}
	c.note(e)
}

// claim takes the version, and no other is there to be taken.
func (c *crew) claim(hand *client, version string) (lease string) {
	c.Helper()
	eventually(c, "the version is claimed", func() bool {
		r, err := hand.graphql(c.Context(), `mutation { claimVersion(input: {provider: 2, leaseSeconds: 600}) { lease { token } version { id } } }`, nil)
		if err != nil || !strings.Contains(r.body, version) {
			return false
		}
		_, after, _ := strings.Cut(r.body, `"token":"`)
		lease, _, _ = strings.Cut(after, `"`)
		return lease != ""
	})
	return lease
}

// complete is sent until it is answered.
func (c *crew) complete(hand *client, version, lease string) (r reply) {
	c.Helper()
	eventually(c, "the completion is answered", func() bool {
		var err error
		r, err = hand.graphql(c.Context(), `mutation($input: CompleteVersionInput!) { completeVersion(input: $input) { version { status } } }`,
			map[string]any{"input": map[string]any{"version": version, "leaseToken": lease, "alias": fmt.Sprint("image ", version)}})
		return err == nil && !r.later()
	})
	return r
}
