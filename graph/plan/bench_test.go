package plan_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/99designs/gqlgen/graphql/executor"
	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/imaging"
	"imagerequests/render"
)

const hot = `{ id name icon description tags createdBy visibility startDate endDate revision status
	versions { id alias version startDate endDate status provider { id } } }`

// BenchmarkAnswer compares, for one request and for lists, each with two versions: the executor with plans, the executor
// without, and encoding/json writing the same answer from structs made for it. The rows are at hand in all of them.
func BenchmarkAnswer(b *testing.B) {
	for _, n := range []int{1, 20, 100} {
		p := newPair()
		rows := ordinary(n)
		p.found = found{requests: db.NewConnection(rows, nil, nil, nil, nil), nodes: []imaging.Node{rows[0]}, whole: true}
		text := "{ imageRequests { nodes " + hot + " } }"
		if n == 1 {
			text = `{ imageRequest(id: "813557f2-f808-11e3-8ef5-b2227cce2b54") ` + hot + " }"
		}
		p.document = *parse(text)
		want, _ := answer(b, p.wholly, nil)
		for _, way := range []struct {
			name string
			run  func(b *testing.B)
		}{
			{"plan", executes(p.with, want)},
			{"gqlgen", executes(p.wholly, want)},
			{"json", encodes(want, n == 1)},
		} {
			b.Run(fmt.Sprintf("%s/%d", way.name, n), way.run)
		}
	}
}

func executes(e *executor.Executor, want string) func(b *testing.B) {
	return func(b *testing.B) {
		b.SetBytes(int64(len(want)))
		b.ReportAllocs()
		for b.Loop() {
			got := execute(b.Context(), e, nil)
			if len(got.Data) != len(want) {
				b.Fatal(string(got.Data))
			}
			render.Free(got.Data) // as the door does
		}
	}
}

// encodes writes the same bytes with encoding/json.
func encodes(want string, single bool) func(b *testing.B) {
	return func(b *testing.B) {
		type request struct {
			ID          uuid.UUID  `json:"id"`
			Name        string     `json:"name"`
			Icon        *string    `json:"icon"`
			Description string     `json:"description"`
			Tags        []string   `json:"tags"`
			CreatedBy   string     `json:"createdBy"`
			Visibility  string     `json:"visibility"`
			StartDate   string     `json:"startDate"`
			EndDate     *time.Time `json:"endDate"`
			Revision    int        `json:"revision"`
			Status      string     `json:"status"`
			Versions    []struct {
				ID        uuid.UUID  `json:"id"`
				Alias     string     `json:"alias"`
				Version   string     `json:"version"`
				StartDate string     `json:"startDate"`
				EndDate   *time.Time `json:"endDate"`
				Status    string     `json:"status"`
				Provider  struct {
					ID int `json:"id"`
				} `json:"provider"`
			} `json:"versions"`
		}
		type one struct {
			ImageRequest request `json:"imageRequest"`
		}
		type many struct {
			ImageRequests struct {
				Nodes []request `json:"nodes"`
			} `json:"imageRequests"`
		}
		var value any = new(many)
		if single {
			value = new(one)
		}
		if err := json.Unmarshal([]byte(want), value); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(want)))
		b.ReportAllocs()
		var buffer bytes.Buffer
		encoder := json.NewEncoder(&buffer)
		for b.Loop() {
			buffer.Reset()
			if err := encoder.Encode(value); err != nil || buffer.Len() != len(want)+1 {
				b.Fatalf("%v, %d bytes, want %d", err, buffer.Len(), len(want)+1)
			}
		}
	}
}

// ordinary are requests as people make them.
func ordinary(n int) []*imaging.ImageRequest {
	rows := make([]*imaging.ImageRequest, n)
	provider := &imaging.Provider{ID: 1, Name: "main"}
	for i := range rows {
		r := &imaging.ImageRequest{
			ID: uuid.New(), Name: fmt.Sprintf("Ubuntu 24.04 with tools, number %d", i), Description: strings.Repeat("What is installed. ", 6),
			Tags: []string{"Ubuntu", "Featured"}, CreatedBy: "username", Visibility: imaging.Public,
			StartDate: time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC), Revision: 3, Status: imaging.Completed,
		}
		for j := range 2 {
			r.Versions = append(r.Versions, &imaging.Version{
				ID: uuid.New(), Alias: uuid.NewString(), Version: fmt.Sprint(j + 1), StartDate: r.StartDate, Status: r.Status, Provider: provider, ProviderID: 1, ImageRequest: r,
			})
		}
		rows[i] = r
	}
	return rows
}
