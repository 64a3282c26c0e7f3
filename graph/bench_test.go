package graph_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"testing"

	"imagerequests/auth"
	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/graph"
)

// BenchmarkDoor answers over HTTP from the database, with plans and without.
func BenchmarkDoor(b *testing.B) {
	store := dbtest.Store(b)
	if err := store.LoadDemo(b.Context()); err != nil {
		b.Fatal(err)
	}
	o := graph.Options{Store: store, Auth: auth.New(store, known), Throttle: auth.NewThrottle(0, 0, nil), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	const fields = ` { id name icon description tags createdBy visibility startDate endDate status versions { id alias version startDate endDate provider { id } } }`
	for _, query := range []struct{ name, text string }{
		{"version", `query($id: ID!) { version(id: $id) { id alias } }`},
		{"one", `query($id: ID!) { imageRequest(id: $id)` + fields + ` }`},
		{"list", `{ imageRequests { nodes` + fields + ` } }`},
	} {
		body, err := json.Marshal(map[string]any{"query": query.text, "variables": map[string]any{"id": db.DemoRequest}})
		if err != nil {
			b.Fatal(err)
		}
		for _, way := range []struct {
			name    string
			handler http.Handler
		}{{"plan", graph.New(o)}, {"gqlgen", graph.New(o.Unplanned())}} {
			b.Run(query.name+"/"+way.name, func(b *testing.B) {
				b.ReportAllocs()
				d := door{nil, store, way.handler}
				for b.Loop() {
					if w := d.post("reviewer", body); w.Code != http.StatusOK {
						b.Fatalf("%d %s", w.Code, w.Body)
					}
				}
			})
		}
	}
}
