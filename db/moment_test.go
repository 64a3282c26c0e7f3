package db_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"imagerequests/imaging"
)

// A page of versions is of one moment: while a version goes back and forth between two statuses as fast as it can, no list of
// the one ever shows the other.
func TestVersionPageIsOfOneMoment(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	v := b.request(t, ann, image())
	execute(t, b.sql, "UPDATE versions SET decided_at = now()")
	ctx, stop := context.WithCancel(t.Context())
	var moves atomic.Int64
	var moving sync.WaitGroup
	moving.Go(func() {
		for ctx.Err() == nil {
			_, err := b.sql.ExecContext(ctx, "UPDATE versions SET status = CASE status WHEN 'PENDING' THEN 'APPROVED' ELSE 'PENDING' END")
			if err != nil && ctx.Err() == nil {
				t.Error(err)
				return
			}
			moves.Add(1)
		}
	})
	defer moving.Wait()
	defer stop()
	pages := map[int]int{} // by the number of their rows
	for (pages[0] < 200 || pages[1] < 200 || moves.Load() < 100) && !t.Failed() {
		c, err := b.Versions(t.Context(), ann, imaging.Slice{}, &imaging.Filter{Status: []imaging.Status{imaging.Pending}}, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, node := range c.Nodes() {
			if node.ID != v.ID || node.Status != imaging.Pending {
				t.Fatalf("after %v pages one of the PENDING has %s, which is %s", pages, node.ID, node.Status)
			}
		}
		pages[len(c.Edges)]++
	}
}
