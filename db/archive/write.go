package archive

import (
	"archive/zip"
	"bufio"
	"compress/flate"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Writer writes an archive. What it has written is one only after Close.
type Writer struct {
	buffer *bufio.Writer
	sealer *sealer
	zip    *zip.Writer
	tables []Table
}

// NewWriter begins an archive.
func NewWriter(w io.Writer) *Writer {
	buffer := bufio.NewWriterSize(w, 256<<10)
	s := &sealer{w: buffer, hash: sha256.New()}
	z := zip.NewWriter(s)
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) { return flate.NewWriter(w, flate.BestSpeed) })
	return &Writer{buffer: buffer, sealer: s, zip: z}
}

// Add puts in a table with the rows that rows writes, and tells what they were.
func (w *Writer) Add(t Table, rows func(io.Writer) error) error {
	entry, err := w.zip.Create(entryName(t.Name))
	if err != nil {
		return fmt.Errorf("write the archive: %w", err)
	}
	counter := NewCounter()
	if err := rows(io.MultiWriter(counter, entry)); err != nil {
		return err
	}
	t.Digest = counter.Digest()
	w.tables = append(w.tables, t)
	return nil
}

// Close completes the archive with its manifest, whose tables are those that were added, and answers it. It does not close
// the writer below.
func (w *Writer) Close(m Manifest) (*Manifest, error) {
	m.Format, m.Tables = Format, w.tables
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the archive: %w", err)
	}
	entry, err := w.zip.Create(manifestName)
	if err == nil {
		_, err = entry.Write(append(text, '\n'))
	}
	if err == nil {
		err = w.zip.SetComment(strings.Repeat("-", sealLength)) // stands where the seal will
	}
	for _, step := range []func() error{w.zip.Close, w.sealer.seal, w.buffer.Flush} {
		if err == nil {
			err = step()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("write the archive: %w", err)
	}
	return &m, nil
}

func entryName(table string) string { return "tables/" + table }
