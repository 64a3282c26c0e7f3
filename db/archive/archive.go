// Package archive is the file that a backup is kept in. It knows files and checksums, and no database.
//
// An archive is a ZIP file, so that any tool can look into it: one entry for each table, in the order in which they are to be
// loaded, and a manifest. The last 64 bytes, which ZIP takes for a comment, are the SHA-256 of all bytes before them, in
// hexadecimal: no byte can change, and none be missing, unnoticed.
package archive

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
	"time"
)

// Format is the version of the file's shape.
const Format = 1

// Errors of an archive that cannot be used, wrapped with the particulars.
var (
	// ErrDamaged: it is no archive, or not as it was written.
	ErrDamaged = errors.New("the archive is damaged")
	// ErrFormat: it was written by a program with another idea of an archive.
	ErrFormat = errors.New("the archive is of another format")
)

const manifestName = "manifest.json"

// Manifest tells what is in an archive.
type Manifest struct {
	Format    int        `json:"format"`
	Program   string     `json:"program"`  // that wrote it
	Postgres  string     `json:"postgres"` // whose data it is
	TakenAt   time.Time  `json:"takenAt"`  // all data is of one moment, by the clock of the database
	Schema    []Step     `json:"schema"`
	Tables    []Table    `json:"tables"` // in an order in which nothing refers to what comes later
	Sequences []Sequence `json:"sequences"`
}

// Step is a migration that had been applied.
type Step struct {
	Version  int    `json:"version"`
	Name     string `json:"name"`
	Checksum string `json:"checksum"`
}

// Table is the rows of a table, as Postgres's COPY writes them in text, in the order of the primary key.
type Table struct {
	Name    string   `json:"name"`
	Columns []string `json:"columns"`
	Key     []string `json:"key"` // the columns of the primary key
	Digest
}

// Sequence is a counter of the database: the next value comes after Last, or is Last if it was not called yet.
type Sequence struct {
	Name   string `json:"name"`
	Last   int64  `json:"last"`
	Called bool   `json:"called"`
}

// Digest is what can be compared of a table's rows.
type Digest struct {
	Rows   int64  `json:"rows"`
	Bytes  int64  `json:"bytes"`
	SHA256 string `json:"sha256"`
}

// Rows is the number of rows in all tables.
func (m *Manifest) Rows() (n int64) {
	for _, t := range m.Tables {
		n += t.Rows
	}
	return n
}

// Counter makes a Digest of the rows that are written to it. COPY ends each row, and nothing else, by a line end.
type Counter struct {
	rows, bytes int64
	hash        hash.Hash
}

// NewCounter makes a counter that has seen nothing.
func NewCounter() *Counter { return &Counter{hash: sha256.New()} }

func (c *Counter) Write(b []byte) (int, error) {
	c.bytes += int64(len(b))
	for _, x := range b {
		if x == '\n' {
			c.rows++
		}
	}
	return c.hash.Write(b)
}

// Digest is that of all that was written so far.
func (c *Counter) Digest() Digest {
	return Digest{Rows: c.rows, Bytes: c.bytes, SHA256: fmt.Sprintf("%x", c.hash.Sum(nil))}
}

// Seen is how many rows and bytes that were.
func (c *Counter) Seen() (rows, bytes int64) { return c.rows, c.bytes }

// sealLength is that of the checksum at the end of the file.
const sealLength = 2 * sha256.Size

// sealer passes on what is written to it but for the last bytes, which seal puts the checksum of all others in the place of.
type sealer struct {
	w    io.Writer
	hash hash.Hash
	tail []byte
}

func (s *sealer) Write(b []byte) (int, error) {
	s.tail = append(s.tail, b...)
	ready := len(s.tail) - sealLength
	if ready <= 0 {
		return len(b), nil
	}
	s.hash.Write(s.tail[:ready])
	if _, err := s.w.Write(s.tail[:ready]); err != nil {
		return 0, err
	}
	s.tail = append(s.tail[:0], s.tail[ready:]...)
	return len(b), nil
}

func (s *sealer) seal() error {
	_, err := fmt.Fprintf(s.w, "%x", s.hash.Sum(nil))
	return err
}
