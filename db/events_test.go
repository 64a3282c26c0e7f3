package db_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/google/uuid"

	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// events are the events that the condition selects, oldest first.
func (b bench) events(t testing.TB, where string) []*imaging.Event {
	t.Helper()
	rows, err := b.sql.QueryContext(t.Context(), "SELECT id, version_id, seq, at, actor, action, from_status, to_status, changes::text FROM events WHERE "+where+" ORDER BY seq, id")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var all []*imaging.Event
	for rows.Next() {
		e, changes := &imaging.Event{}, ""
		if err := rows.Scan(&e.ID, &e.VersionID, &e.Seq, &e.At, &e.Actor, &e.Action, &e.From, &e.To, &changes); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal([]byte(changes), &e.Changes); err != nil {
			t.Fatal(err)
		}
		all = append(all, e)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// state is what the events of a request make of it, field by field; a version's fields begin with its id.
type state map[string]any

// play applies an event; each change must begin where the one before has ended.
func (s state) play(t *testing.T, e *imaging.Event) {
	t.Helper()
	if e.From != nil {
		same(t, s[e.VersionID.String()+".status"], any(string(*e.From)))
	}
	for name, change := range e.Changes {
		if field, ok := strings.CutPrefix(name, "version."); ok {
			name = e.VersionID.String() + "." + field
		}
		same(t, s[name], decoded(t, change.From))
		s[name] = decoded(t, change.To)
	}
	if e.To != nil {
		same(t, s[e.VersionID.String()+".status"], any(string(*e.To)))
	}
}

func decoded(t *testing.T, text json.RawMessage) (v any) {
	t.Helper()
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// stored is the state as the tables have it.
func stored(t *testing.T, r *imaging.ImageRequest) state {
	t.Helper()
	s := state{}
	put := func(prefix string, changes imaging.Changes, err error) {
		if err != nil {
			t.Fatal(err)
		}
		for name, c := range changes {
			s[prefix+name] = decoded(t, c.To)
		}
	}
	changes, err := imaging.Diff(nil, r)
	put("", changes, err)
	for _, v := range r.Versions {
		changes, err := imaging.Diff(nil, v)
		put(v.ID.String()+".", changes, err)
	}
	return s
}

// Whatever happens to requests, all at once: each change is one event, they are numbered without a gap, the number of the
// last is the revision, and played one after the other they give what is stored.
func TestEventsTellEverything(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	var ids []uuid.UUID
	want := map[uuid.UUID]int{}
	for range 4 {
		v := b.request(t, ann, oddImageWithoutKey())
		ids = append(ids, v.ImageRequestID)
		want[v.ImageRequestID] = 1
	}
	type done struct {
		id     uuid.UUID
		events int
	}
	changes, errs := all(t.Context(), 60, func(ctx context.Context, i int) (done, error) {
		rnd := rand.New(rand.NewPCG(uint64(i), 1))
		id := ids[rnd.IntN(len(ids))]
		if i%3 > 0 {
			edit := imaging.EditImageRequestInput{ImageRequest: id, Name: new(fmt.Sprint(odd, i)), Description: new(odd), Tags: []string{fmt.Sprint(i)}}
			_, err := b.EditImageRequest(ctx, admin, edit)
			return done{id, 1}, err
		}
		in := another(id)
		in.Provider = 1 + rnd.IntN(2)
		_, err := b.RequestVersion(ctx, ann, in)
		return done{id, in.Provider}, err // provider 2 approves, which is an event of its own
	})
	same(t, map[imaging.Code]int{"": len(changes)}, codes(errs))
	for _, c := range changes {
		want[c.id] += c.events
	}
	for _, id := range ids {
		r, s := b.read(t, ann, id), state{}
		events := b.events(t, "image_request_id = '"+id.String()+"'")
		same(t, []int{want[id], want[id]}, []int{len(events), r.Revision})
		for i, e := range events {
			same(t, i+1, *e.Seq)
			s.play(t, e)
		}
		same(t, stored(t, r), s)
	}
}

func oddImageWithoutKey() imaging.RequestImageInput {
	in := oddImage()
	in.IdempotencyKey, in.Provider = nil, 1
	return in
}

// Who did what is told: the actor, or nobody for the service; the status before and after.
func TestEventOfEachAction(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	in := image()
	in.Provider = 2
	v := b.request(t, ann, in)
	if _, err := b.EditImageRequest(t.Context(), admin, imaging.EditImageRequestInput{ImageRequest: v.ImageRequestID, Name: new("x")}); err != nil {
		t.Fatal(err)
	}
	next, err := b.RequestVersion(t.Context(), ann, another(v.ImageRequestID))
	if err != nil {
		t.Fatal(err)
	}
	type line struct {
		Actor    string
		Action   imaging.Action
		Version  *uuid.UUID
		From, To *imaging.Status
	}
	var got []line
	for _, e := range b.events(t, "image_request_id IS NOT NULL") {
		got = append(got, line{e.Actor, e.Action, e.VersionID, e.From, e.To})
	}
	pending, approved := imaging.Pending, imaging.Approved
	same(t, []line{
		{"ann", imaging.Requested, &v.ID, nil, &pending},
		{"", imaging.AutoApproved, &v.ID, &pending, &approved},
		{"admin", imaging.Edited, nil, nil, nil},
		{"ann", imaging.VersionRequested, &next.ID, nil, &pending},
	}, got)
}

// Providers and tokens have events without a request, which keep no secret.
func TestEventsOfProvidersAndTokens(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	secret, token, err := b.CreateToken(t.Context(), admin, imaging.Token{Username: "eve", Roles: []imaging.Role{imaging.Worker}, Providers: []int{1}})
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time changes nothing
		if _, err := b.RevokeToken(t.Context(), admin, token.ID); err != nil {
			t.Fatal(err)
		}
	}
	var actions []imaging.Action
	for _, e := range b.events(t, "image_request_id IS NULL AND version_id IS NULL AND seq IS NULL AND actor = 'admin'") {
		actions = append(actions, e.Action)
	}
	same(t, []imaging.Action{imaging.ProviderSaved, imaging.ProviderSaved, imaging.ProviderSaved, imaging.TokenCreated, imaging.TokenRevoked}, actions)
	content := strings.Join([]string{b.content(t)["events"], b.content(t)["tokens"]}, "\n")
	if strings.Contains(content, secret) || strings.Contains(b.content(t)["events"], fmt.Sprintf("%x", imaging.HashSecret(secret))) {
		t.Error("a secret is in the events, or in the clear in the tokens")
	}
}

// Postgres itself keeps events as they are, and takes none that leaves a gap or repeats a number.
func TestEventsAreNeverChanged(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.request(t, ann, image()).ImageRequestID.String()
	insert := "INSERT INTO events (image_request_id, seq, at, actor, action, changes) VALUES ('" + id + "', %s, now(), 'x', 'X', '{}')"
	b.unchanged(t, func() {
		for statement, want := range map[string]string{
			"UPDATE events SET actor = 'x'":                             "23000",
			"UPDATE events SET seq = 2":                                 "23000",
			"DELETE FROM events":                                        "23000",
			"TRUNCATE events":                                           "23000",
			fmt.Sprintf(insert, "3"):                                    "23000",
			fmt.Sprintf(insert, "1"):                                    "23505",
			fmt.Sprintf(insert, "0"):                                    "23514",
			fmt.Sprintf(insert, "NULL"):                                 "23514",
			"DELETE FROM image_requests":                                "23503",
			"DELETE FROM versions":                                      "23503",
			"UPDATE image_requests SET id = '" + uuid.NewString() + "'": "23503",
		} {
			_, err := b.sql.ExecContext(t.Context(), statement)
			if got := safedriver.SQLState(err); got != want {
				t.Errorf("%s: %v, want SQLSTATE %s", statement, err, want)
			}
		}
	})
}
