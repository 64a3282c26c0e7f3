package archive

import (
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Archive is one that was found to be whole.
type Archive struct {
	Manifest Manifest
	entries  map[string]*zip.File
}

const maxManifest = 4 << 20

// Open reads all of an archive, once for its seal and once for the rows of each table, and answers it if everything is as
// it was written. ErrDamaged, ErrFormat, and the reader's own errors.
func Open(r io.ReaderAt, size int64) (*Archive, error) {
	if err := checkSeal(r, size); err != nil {
		return nil, err
	}
	z, err := zip.NewReader(r, size)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	a := &Archive{entries: map[string]*zip.File{}}
	for _, f := range z.File {
		a.entries[f.Name] = f
	}
	if err := a.readManifest(); err != nil {
		return nil, err
	}
	if len(z.File) != len(a.Manifest.Tables)+1 || len(a.entries) != len(z.File) {
		return nil, fmt.Errorf("%w: it has other entries than its manifest tells of", ErrDamaged)
	}
	for _, t := range a.Manifest.Tables {
		if err := a.check(t); err != nil {
			return nil, err
		}
	}
	return a, nil
}

// checkSeal compares the file with the checksum at its end.
func checkSeal(r io.ReaderAt, size int64) error {
	if size < sealLength {
		return fmt.Errorf("%w: it has %d bytes", ErrDamaged, size)
	}
	content := io.NewSectionReader(r, 0, size-sealLength)
	var head [4]byte
	if _, err := content.ReadAt(head[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the archive: %w", err)
	}
	if string(head[:]) != "PK\x03\x04" {
		return fmt.Errorf("%w: this is no archive", ErrDamaged)
	}
	hash := sha256.New()
	if _, err := io.Copy(hash, content); err != nil {
		return fmt.Errorf("read the archive: %w", err)
	}
	seal := make([]byte, sealLength)
	if _, err := r.ReadAt(seal, size-sealLength); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the archive: %w", err)
	}
	if string(seal) != fmt.Sprintf("%x", hash.Sum(nil)) {
		return fmt.Errorf("%w: it does not have the checksum that it ends with; it was changed, or its end is missing", ErrDamaged)
	}
	return nil
}

func (a *Archive) readManifest() error {
	entry, err := a.open(manifestName)
	if err != nil {
		return err
	}
	defer func() { _ = entry.Close() }()
	text, err := io.ReadAll(io.LimitReader(entry, maxManifest))
	if err != nil {
		return fmt.Errorf("%w: its manifest: %w", ErrDamaged, err)
	}
	var format struct{ Format int }
	if err := json.Unmarshal(text, &format); err != nil {
		return fmt.Errorf("%w: its manifest: %w", ErrDamaged, err)
	}
	if format.Format != Format {
		return fmt.Errorf("%w: %d, this program reads %d", ErrFormat, format.Format, Format)
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&a.Manifest); err != nil {
		return fmt.Errorf("%w: its manifest: %w", ErrDamaged, err)
	}
	var names []string
	for _, t := range a.Manifest.Tables {
		if slices.Contains(names, t.Name) || len(t.Columns) == 0 || len(t.Key) == 0 {
			return fmt.Errorf("%w: its manifest tells of table %q twice, or without columns", ErrDamaged, t.Name)
		}
		names = append(names, t.Name)
	}
	if len(names) == 0 || len(a.Manifest.Schema) == 0 {
		return fmt.Errorf("%w: its manifest tells of no tables, or of no schema", ErrDamaged)
	}
	return nil
}

// check compares the rows of a table with what the manifest says of them.
func (a *Archive) check(t Table) error {
	rows, err := a.Rows(t.Name)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	counter := NewCounter()
	if _, err := io.Copy(counter, rows); err != nil {
		return fmt.Errorf("%w: table %s: %w", ErrDamaged, t.Name, err)
	}
	if got := counter.Digest(); got != t.Digest {
		return fmt.Errorf("%w: table %s has %d rows with checksum %s, its manifest says %d with %s", ErrDamaged, t.Name, got.Rows, got.SHA256, t.Rows, t.SHA256)
	}
	return nil
}

// Rows reads the rows of a table. Whoever calls it closes what it answers.
func (a *Archive) Rows(table string) (io.ReadCloser, error) { return a.open(entryName(table)) }

func (a *Archive) open(name string) (io.ReadCloser, error) {
	entry := a.entries[name]
	if entry == nil {
		return nil, fmt.Errorf("%w: it has no %s", ErrDamaged, name)
	}
	r, err := entry.Open()
	if err != nil {
		return nil, fmt.Errorf("%w: %s: %w", ErrDamaged, name, err)
	}
	return r, nil
}
