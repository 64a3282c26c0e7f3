package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

// bench is a run: one Postgres, and for each size a database, a server and a bare handler over it. All of them are there all
// the time, so that rounds of all can follow each other closely.
type bench struct {
	*settings
	log     io.Writer
	dir     string // of what is made for this run
	self    string // this program
	cluster *cluster
	stages  []*stage

	samples map[cell][]sample
	memory  float64 // of the servers, the most in MiB
	starts  float64 // how long a start takes, in milliseconds
}

// stage is what is measured at one size.
type stage struct {
	size         int
	database     string
	server, bare *process
	token        string
	known        []known
	page         int    // 25,000, or the middle of a shorter list
	cursor       string // of the last row before that page
	afterDate    string // the same, for who reads the table
	afterID      string
	visible      int
	all          []*work
	took         map[cell]time.Duration // one answer, with no clients: how long it takes
}

// user is whose token is sent.
const user = "user-00003"

func start(ctx context.Context, s *settings, log io.Writer) (_ *bench, err error) {
	b := &bench{settings: s, log: log, samples: map[cell][]sample{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.self, err = os.Executable(); err != nil {
		return nil, err
	}
	if b.dir, err = os.MkdirTemp("", "bench-run"); err != nil {
		return nil, err
	}
	if b.program == "" {
		b.program = filepath.Join(b.dir, "imagerequests")
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", b.program, "imagerequests")
		build.Stderr = log
		if err := build.Run(); err != nil {
			return nil, fmt.Errorf("build the server: %w", err)
		}
	}
	if b.cluster, err = startCluster(ctx, s, log); err != nil {
		return nil, err
	}
	for _, size := range s.sizes {
		st := &stage{size: size, took: map[cell]time.Duration{}}
		if st.database, err = b.cluster.database(ctx, size); err != nil {
			return nil, err
		}
		b.stages = append(b.stages, st)
		if err := b.open(ctx, st); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func (b *bench) close() (err error) {
	for _, s := range b.stages {
		for _, p := range []*process{s.server, s.bare} {
			if p != nil {
				err = errors.Join(err, p.stop())
			}
		}
	}
	if b.cluster != nil {
		err = errors.Join(err, b.cluster.close())
	}
	if b.dir != "" {
		err = errors.Join(err, os.RemoveAll(b.dir))
	}
	return err
}

// serve starts the server as it is run for real, but that no caller has a budget, and tells how long that took.
func (b *bench) serve(ctx context.Context, database string) (*process, time.Duration, error) {
	began := time.Now()
	p, err := launch(ctx, b.cluster.url(database), b.program, "serve", "--listen=127.0.0.1:0", "--rate=0")
	if err != nil {
		return nil, 0, err
	}
	_, err = once(p.address, newAsk(http.MethodGet, "/readyz", "", ""))
	return p, time.Since(began), err
}

func (b *bench) open(ctx context.Context, s *stage) (err error) {
	url := b.cluster.url(s.database)
	create := exec.CommandContext(ctx, b.program, "token", "create", "--user="+user)
	create.Env = append(environment(), "DATABASE_URL="+url)
	secret, err := create.Output()
	if err != nil {
		return fmt.Errorf("make a token: %w", err)
	}
	s.token = strings.TrimSpace(string(secret))
	if s.server, _, err = b.serve(ctx, s.database); err != nil {
		return err
	}
	if s.bare, err = launch(ctx, url, b.self, "bare"); err != nil {
		return err
	}
	conn, err := b.cluster.connect(ctx, s.database)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, _ := conn.Query(ctx, "SELECT id::text FROM bench.ids ORDER BY n")
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	if s.known, err = s.cursors(ids); err != nil {
		return err
	}
	if err := conn.QueryRow(ctx, "SELECT count(*) FROM image_requests AS r WHERE "+everybodys).Scan(&s.visible); err != nil {
		return err
	}
	s.page = min(25_000, s.visible/20/2)
	last := "SELECT to_char(start_date AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), id::text FROM image_requests AS r WHERE " + everybodys + " ORDER BY r.start_date DESC, r.id DESC LIMIT 1 OFFSET $1"
	if err := conn.QueryRow(ctx, last, 20*(s.page-1)-1).Scan(&s.afterDate, &s.afterID); err != nil {
		return err
	}
	after, err := s.cursors([]string{s.afterID})
	if err != nil {
		return err
	}
	s.cursor = after[0].cursor
	for _, w := range s.works() {
		if b.only.MatchString(w.name) {
			s.all = append(s.all, w)
		}
	}
	for _, w := range s.all {
		if err := b.check(ctx, conn, s, w); err != nil {
			return fmt.Errorf("%s of %d: %w", w.name, s.size, err)
		}
	}
	return nil
}

// cursors are those of image requests that everybody may see: only the server can tell them.
func (s *stage) cursors(ids []string) (all []known, err error) {
	const query = "query($ids: [ID!]) { imageRequests(first: 100, filter: {ids: $ids, ended: null}) { edges { cursor node { id } } } }"
	for some := range slices.Chunk(ids, 100) {
		body, err := once(s.server.address, newAsk("POST", "/graphql", "", operation(query, map[string]any{"ids": some})))
		if err != nil {
			return nil, err
		}
		var answer struct {
			Data struct {
				ImageRequests struct {
					Edges []struct {
						Cursor string
						Node   struct{ ID string }
					}
				}
			}
		}
		if err := json.Unmarshal(body, &answer); err != nil {
			return nil, fmt.Errorf("%w: %s", err, body)
		}
		for _, e := range answer.Data.ImageRequests.Edges {
			if len(e.Cursor) != len(knownCursor) {
				return nil, fmt.Errorf("a cursor has %d bytes, not %d", len(e.Cursor), len(knownCursor))
			}
			all = append(all, known{e.Node.ID, e.Cursor})
		}
	}
	if len(all) != len(ids) {
		return nil, fmt.Errorf("there are %d cursors of %d", len(all), len(ids))
	}
	return all, nil
}

// process is who does a piece of work this way.
func (s *stage) process(way string) *process {
	if slices.Contains([]string{graphQL, rest}, way) {
		return s.server
	}
	return s.bare
}
