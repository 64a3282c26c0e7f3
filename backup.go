package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"imagerequests/db"
	"imagerequests/db/archive"
	"imagerequests/db/embedded"
)

// backup is the command that writes an archive.
type backup struct {
	database
	File string `arg:"" help:"Where to write it; there must be no such file yet." placeholder:"FILE"`
}

// Run writes the archive under another name, and gives it its own when it is complete and on disk.
func (b backup) Run(ctx context.Context, c console) (err error) {
	if _, err := os.Lstat(b.File); err == nil {
		return fmt.Errorf("there is a file %s already: name another, or move it away", b.File)
	}
	if err := b.mustExist(); err != nil {
		return err
	}
	cfg, stop, err := b.postgres(ctx, c, c.log(b.Verbose), true)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	part, err := os.CreateTemp(filepath.Dir(b.File), "."+filepath.Base(b.File)+".part-*") // mode 0600: it holds everything
	if err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	defer func() { _ = errors.Join(part.Close(), os.Remove(part.Name())) }() // does nothing once it is in its place
	m, err := db.Backup(ctx, cfg, version(), part, progress(c.err))
	if err != nil {
		return err
	}
	if err := publish(part, b.File); err != nil {
		return fmt.Errorf("write the backup: %w", err)
	}
	_, err = fmt.Fprintf(c.out, "%s holds %s\n", b.File, contents(m))
	return err
}

// mustExist refuses to make a private database only to find that there is nothing in it.
func (d database) mustExist() error {
	if d.DatabaseURL != "" {
		return nil
	}
	there, err := embedded.Exists(d.Data)
	if err == nil && !there {
		err = fmt.Errorf("there is no database in the folder %s: name it with --data, or a Postgres of your own with DATABASE_URL", d.Data)
	}
	return err
}

// publish puts a complete file on disk and then in its place, unless somebody else has put one there.
func publish(part *os.File, name string) error {
	if err := errors.Join(part.Sync(), part.Close()); err != nil {
		return err
	}
	if err := os.Link(part.Name(), name); errors.Is(err, os.ErrExist) {
		return err
	} else if err != nil { // not every file system has links
		if err := os.Rename(part.Name(), name); err != nil {
			return err
		}
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// restore is the command that loads an archive.
type restore struct {
	database
	File  string `arg:"" help:"The backup." placeholder:"FILE"`
	Check bool   `help:"Load nothing, only see whether the file is as it was written."`
}

// Run checks the archive and, unless that is all, loads it.
func (r restore) Run(ctx context.Context, c console) (err error) {
	a, closer, err := openArchive(r.File)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closer()) }()
	if r.Check {
		_, err := fmt.Fprintf(c.out, "%s is as it was written. It holds %s\n", r.File, contents(&a.Manifest))
		return err
	}
	cfg, stop, err := r.postgres(ctx, c, c.log(r.Verbose), false)
	if errors.Is(err, embedded.ErrInUse) {
		return fmt.Errorf("%w: a backup is loaded into a new folder, or one that is empty", err)
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	if err := db.Restore(ctx, cfg, a, progress(c.err)); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.out, "Restored and compared: %s\n", contents(&a.Manifest))
	return err
}

func openArchive(name string) (_ *archive.Archive, closer func() error, err error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, nil, fmt.Errorf("read the backup: %w", err)
	}
	info, err := file.Stat()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("read the backup: %w", err), file.Close())
	}
	if !info.Mode().IsRegular() {
		return nil, nil, errors.Join(fmt.Errorf("read the backup: %s is not a file", name), file.Close())
	}
	a, err := archive.Open(file, info.Size())
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("%s: %w", name, err), file.Close())
	}
	return a, file.Close, nil
}

// contents is what an archive holds, for a person.
func contents(m *archive.Manifest) string {
	return fmt.Sprintf("%d rows of %d tables, as they were at %s (PostgreSQL %s, schema %d).",
		m.Rows(), len(m.Tables), m.TakenAt.Format(time.RFC3339), m.Postgres, len(m.Schema))
}

// progressEvery is how often a person is told how far it is.
const progressEvery = 2 * time.Second

// progress tells how far it is, for work that takes longer than a moment.
func progress(w io.Writer) db.Progress {
	next := time.Now().Add(progressEvery)
	return func(table string, rows, bytes int64) {
		if now := time.Now(); now.After(next) {
			next = now.Add(progressEvery)
			_, _ = fmt.Fprintf(w, "%s: %d rows, %d MB\n", table, rows, bytes>>20)
		}
	}
}
