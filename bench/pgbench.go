package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"imagerequests/db"
)

// drawn is the id of one of those that pgbench picks from.
const drawn = "(SELECT id FROM bench.ids WHERE n = :n)"

// read carries out what pgbench does, for the request with this id.
func (w *work) read(ctx context.Context, conn *pgx.Conn, id string) ([]*oldItem, error) {
	text := w.sql
	if strings.HasPrefix(text, `\set`) {
		_, text, _ = strings.Cut(text, "\n")
		text = strings.Replace(text, drawn, "'"+id+"'", 1)
	}
	statements := strings.Split(text, ";\n")
	rows, err := conn.Query(ctx, statements[len(statements)-1])
	if err != nil {
		return nil, err
	}
	all, err := scan(rows)
	var items []*oldItem
	for _, r := range all {
		items = append(items, r.old())
	}
	return items, err
}

var (
	processed = regexp.MustCompile(`number of transactions actually processed: ([0-9]+)`)
	average   = regexp.MustCompile(`latency average = ([0-9.]+) ms`)
	perSecond = regexp.MustCompile(`\ntps = ([0-9.]+)`)
)

// pgbench does the work in Postgres alone, by so many transactions of each client or for a time. It is no better with more
// clients than the server has connections.
func (b *bench) pgbench(ctx context.Context, s *stage, w *work, clients int, how string) (sample, error) {
	script := filepath.Join(b.dir, "script.sql")
	if err := os.WriteFile(script, []byte(w.sql+";\n"), 0o600); err != nil {
		return sample{}, err
	}
	number := strconv.Itoa(clients)
	cmd := exec.CommandContext(ctx, filepath.Join(b.cluster.programs, "pgbench"), "-n", "-M", "prepared", "-f", script, "-c", number, "-j", strconv.Itoa(min(clients, 2)), how)
	cfg := b.cluster.pg.Config(s.database)
	cmd.Env = append(environment(), "PGHOST="+filepath.Dir(cfg.Addr), "PGUSER="+cfg.User, "PGPASSWORD="+cfg.Password, "PGDATABASE="+cfg.Database)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	before, err := postgresCPU(b.cluster.pg.Pid())
	if err != nil {
		return sample{}, err
	}
	if err := cmd.Run(); err != nil {
		return sample{}, fmt.Errorf("pgbench: %w\n%s", err, errs.String())
	}
	after, err := postgresCPU(b.cluster.pg.Pid())
	if err != nil {
		return sample{}, err
	}
	told := func(what *regexp.Regexp) float64 {
		m := what.FindSubmatch(out.Bytes())
		if m == nil {
			return 0
		}
		n, _ := strconv.ParseFloat(string(m[1]), 64)
		return n
	}
	n := told(processed)
	if n == 0 {
		return sample{}, fmt.Errorf("pgbench says %s%s", out.String(), errs.String())
	}
	return sample{Answers: n, Postgres: (after - before).Seconds() / n, PerSecond: told(perSecond), P50: told(average) / 1000}, nil
}

// steady is what pgbench does without what it costs that its clients connect and prepare.
func (b *bench) steady(ctx context.Context, s *stage, w *work, clients int) (sample, error) {
	clients = min(clients, db.Connections)
	connecting, err := b.pgbench(ctx, s, w, clients, "--transactions=1")
	if err != nil {
		return sample{}, err
	}
	all, err := b.pgbench(ctx, s, w, clients, fmt.Sprintf("--time=%.0f", max(1, b.round.Truncate(time.Second).Seconds())))
	if n := all.Answers - connecting.Answers; err == nil && n > 0 {
		all.Postgres = max(0, (all.Postgres*all.Answers-connecting.Postgres*connecting.Answers)/n)
	}
	return all, err
}
