package rest

import (
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
