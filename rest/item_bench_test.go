package rest

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// BenchmarkItem writes an image request of two versions.
func BenchmarkItem(b *testing.B) {
	r := &imaging.ImageRequest{
		ID: uuid.New(), Name: "Ubuntu 24.04 with tools", Description: strings.Repeat("What is installed. ", 18), Tags: []string{"Ubuntu", "Featured"},
		CreatedBy: "username", Visibility: imaging.Public, StartDate: time.Date(2026, 1, 2, 3, 4, 5, 678901000, time.UTC),
	}
	for _, label := range []string{"1", "2"} {
		r.Versions = append(r.Versions, &imaging.Version{Alias: uuid.NewString(), Version: label, StartDate: r.StartDate, ProviderID: 1})
	}
	to := appendItem(nil, r)
	b.SetBytes(int64(len(to)))
	b.ReportAllocs()
	for b.Loop() {
		to = appendItem(to[:0], r)
	}
}

// BenchmarkCompress tells what compressing a list of so many costs, and how much of it is left.
func BenchmarkCompress(b *testing.B) {
	rnd := rand.New(rand.NewPCG(1, 1))
	words := strings.Fields("ubuntu debian server cluster image python notebook kernel driver tensor toolchain storage snapshot network proxy database scheduler logging genomics climate survey course")
	for _, n := range []int{1, 2, 20, 100} {
		var body []byte
		for range n {
			var description []string
			for range 45 {
				description = append(description, words[rnd.IntN(len(words))])
			}
			r := &imaging.ImageRequest{
				ID: uuid.New(), Name: fmt.Sprint("Image ", rnd.IntN(1_000_000)), Description: strings.Join(description, " "), Tags: description[:2],
				CreatedBy: fmt.Sprint("user-", rnd.IntN(10_000)), Visibility: imaging.Public, StartDate: time.UnixMilli(1_700_000_000_000 + rnd.Int64N(1e11)).UTC(),
			}
			r.Versions = []*imaging.Version{{Alias: uuid.NewString(), Version: "1", StartDate: r.StartDate, ProviderID: 1 + rnd.IntN(5)}}
			body = append(appendItem(body, r), ',')
		}
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			b.SetBytes(int64(len(body)))
			b.ReportAllocs()
			for b.Loop() {
				compress(body)
			}
			b.ReportMetric(float64(len(body)), "bytes")
			b.ReportMetric(float64(len(compress(body))), "left")
		})
	}
}
