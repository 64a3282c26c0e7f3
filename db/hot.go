package db

import (
	"context"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/uptrace/bun"
	"github.com/uptrace/bun/dialect/pgdialect"

	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// asking is what the visibility rule compares with: an actor's values, or the places they have in a prepared statement.
type asking struct {
	username, usernames, providers any

	gathered bool               // what a worker works on is looked up beforehand, instead of for each row
	of       imaging.Visibility // of all that is asked for; "": any
}

func values(a imaging.Actor) asking {
	return asking{username: a.Username, usernames: pgdialect.Array([]string{a.Username}), providers: pgdialect.Array(a.Providers)}
}

// hot are the reads that are asked for again and again: each has one text for all values, which every connection prepares.
type hot struct {
	texts sync.Map // of hotKey
	held  atomic.Int64
}

// most texts are those of documents that people use; who makes up documents makes texts.
const mostTexts = 1000

// hotKey is all that a text depends on.
type hotKey struct {
	what    string // which read, with all that is written into it
	kind    actorKind
	columns string
}

// actorKind is how the visibility rule is said for an actor.
type actorKind struct{ staff, signedIn, worker, confined bool }

func kindOf(a imaging.Actor) actorKind {
	if a.Staff() {
		return actorKind{staff: true}
	}
	worker := a.SignedIn() && a.Has(imaging.Worker)
	return actorKind{signedIn: a.SignedIn(), worker: worker, confined: worker && a.Providers != nil}
}

// text is that of the read, made by build if it is new.
func (h *hot) text(key hotKey, build func() *bun.SelectQuery) string {
	if known, ok := h.texts.Load(key); ok {
		return known.(string)
	}
	text := build().String()
	if h.held.Add(1) > mostTexts {
		h.texts.Clear()
		h.held.Store(1)
	}
	h.texts.Store(key, text)
	return text
}

// read is aggregates by a prepared statement that finds a few by their ids. What names the read; build makes it, with args in the
// places from $1 on, and must let the visibility rule see to its requests. It reads outside of any transaction.
func (s *Store) read(ctx context.Context, a imaging.Actor, what string, build func(p *picked, visible rule) *bun.SelectQuery, args ...string) ([]*imaging.ImageRequest, error) {
	g := gathering{picked: s.columns.pick(purpose{}), requests: []*imaging.ImageRequest{}}
	err := s.readInto(ctx, a, &g, s.lookups, what, build, args...)
	return g.requests, err
}

// readInto is read with the gathering that takes the rows, and those with whom it is carried out.
func (s *Store) readInto(ctx context.Context, a imaging.Actor, g *gathering, with *together[*lookup], what string, build func(p *picked, visible rule) *bun.SelectQuery, args ...string) error {
	p, kind := g.picked, kindOf(a)
	err := s.ask(ctx, a, with, hotKey{what, kind, p.list}, func(asks asking) *bun.SelectQuery {
		return build(p, func(q *bun.SelectQuery) *bun.SelectQuery { return visibleTo(q, kind, asks) })
	}, g.row, args...)
	redact(a, g.requests)
	return err
}

// ask gives the rows of a prepared statement to row. Build makes it, with args in the places from $1 on, and asking behind them.
func (s *Store) ask(ctx context.Context, a imaging.Actor, with *together[*lookup], key hotKey, build func(asking) *bun.SelectQuery, row func(safedriver.Row) error, args ...string) error {
	text := s.hot.text(key, func() *bun.SelectQuery {
		username, providers := "$"+strconv.Itoa(len(args)+1), "$"+strconv.Itoa(len(args)+2)
		return build(asking{username: bun.Safe(username), usernames: bun.Safe("ARRAY[" + username + "]"), providers: bun.Safe(providers + "::int[]")})
	})
	if key.kind.signedIn {
		args = append(args, a.Username)
	}
	if key.kind.confined {
		args = append(args, numbers(a.Providers))
	}
	return s.translate(s.lookUp(ctx, with, safedriver.Reading{Query: text, Args: args, Row: row}))
}

// redact takes out of the requests what the actor may not read.
func redact(a imaging.Actor, requests []*imaging.ImageRequest) {
	for _, r := range requests {
		imaging.Redact(a, r)
	}
}

// rule leaves in a query what somebody may see.
type rule func(*bun.SelectQuery) *bun.SelectQuery

// numbers is an int[] as Postgres reads it.
func numbers(list []int) string {
	texts := make([]string, len(list))
	for i, n := range list {
		texts[i] = strconv.Itoa(n)
	}
	return "{" + strings.Join(texts, ",") + "}"
}
