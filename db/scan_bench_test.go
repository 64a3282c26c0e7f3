package db_test

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"imagerequests/db"
	"imagerequests/db/safedriver"
	"imagerequests/imaging"
)

// Rows of a page, as Postgres sends them, into requests with their versions; and a request's cursor, made and read.
//
//	go test ./db -run '^$' -bench 'Scan|Cursor' -benchmem
func BenchmarkScan(b *testing.B) {
	columns := &db.Columns{
		ImageRequest: []string{"id", "icon", "created_by", "name", "tags", "description", "start_date", "end_date", "visibility"},
		Version:      []string{"alias", "version", "start_date", "end_date", "provider_id"},
	}
	for _, n := range []int{1, 20, 100} {
		rows := make([]safedriver.Row, n)
		size := 0
		for i := range rows {
			rows[i] = sentRow(uuid.New(), i)
			size += len(rows[i])
		}
		b.Run(fmt.Sprintf("%d rows", n), func(b *testing.B) {
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if requests, err := db.ScanRows(columns, rows); err != nil || len(requests) != n || requests[n-1].Versions[0].Version != "24.04" {
					b.Fatal(len(requests), err)
				}
			}
		})
	}
}

// sentRow is a row of these columns, in the order of the tables.
func sentRow(id uuid.UUID, i int) safedriver.Row {
	var row []byte
	add := func(value string) { row = append(binary.BigEndian.AppendUint32(row, uint32(len(value))), value...) }
	null := func() { row = binary.BigEndian.AppendUint32(row, 1<<32-1) }
	when := string(binary.BigEndian.AppendUint64(nil, uint64(time.Duration(i)*time.Hour/time.Microsecond)))
	add(string(id[:]))
	add(fmt.Sprintf("Ubuntu 24.04 with tools, number %d", i)) // name
	null()                                                    // icon
	add(strings.Repeat("What is installed. ", 18))            // description
	add(sentTexts("Ubuntu", "Featured"))                      // tags
	add("username")                                           // created_by
	add(string(imaging.Public))
	add(when)               // start_date
	null()                  // end_date
	add("\x00\x00\x00\x01") // ordinal
	add(id.String())        // alias
	add("24.04")
	add("\x00\x00\x00\x01") // provider_id
	add(when)               // start_date
	null()                  // end_date
	return safedriver.Row(row)
}

// sentTexts is a text[]: of one dimension, without NULLs, of type 25; so many from 1 on.
func sentTexts(texts ...string) string {
	var b []byte
	for _, n := range []int{1, 0, 25, len(texts), 1} {
		b = binary.BigEndian.AppendUint32(b, uint32(n))
	}
	for _, text := range texts {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(text))), text...)
	}
	return string(b)
}

func BenchmarkCursor(b *testing.B) {
	order, id := imaging.NewestFirst, uuid.New()
	b.Run("make", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			db.EncodeCursor("image_requests", order, "1764200000000000", id)
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		cursor := db.EncodeCursor("image_requests", order, "1764200000000000", id)
		for b.Loop() {
			if _, got, err := db.DecodeCursor("after", cursor, "image_requests", order); err != nil || got != id {
				b.Fatal(got, err)
			}
		}
	})
}
