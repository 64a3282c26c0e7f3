package archive

import (
	"errors"
	"io"
	"testing"
)

// FuzzOpen opens files whose checksum fits: of any bytes, and of any manifest beside any rows. Each is refused as damaged or as of another
// format, or all that its manifest tells of can be read.
func FuzzOpen(f *testing.F) {
	f.Add(forge(f), "", "")
	f.Add(forge(f, manifestName, "{}"), "{}", "1\n")
	f.Add([]byte("PK\x03\x04"), `{"format":1,"program":"","postgres":"","takenAt":"2026-01-01T00:00:00Z","schema":[{"version":1,"name":"first","checksum":"00"}],
		"tables":[{"name":"one","columns":["id"],"key":["id"],"rows":1,"bytes":2,"sha256":"4355a46b19d348dc2f57c046f8ef63d4538ebb936000f3c9ee954a27460dd865"}],"sequences":[]}`, "1\n")
	f.Fuzz(func(t *testing.T, file []byte, manifest, rows string) {
		files := [][]byte{file, forge(t, manifestName, manifest, entryName("one"), rows)}
		if len(file) >= sealLength {
			files = append(files, seal(file))
		}
		for _, file := range files {
			a, err := open(file)
			if err != nil {
				if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrFormat) {
					t.Error(err)
				}
				continue
			}
			for _, table := range a.Manifest.Tables {
				r, err := a.Rows(table.Name)
				if err != nil {
					t.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, r); err != nil || n != table.Bytes {
					t.Errorf("table %s has %d bytes, its manifest says %d: %v", table.Name, n, table.Bytes, err)
				}
				_ = r.Close()
			}
		}
	})
}
