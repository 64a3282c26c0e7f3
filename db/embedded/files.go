package embedded

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

const (
	lockFile      = "lock"
	passwordFile  = "password"
	throwawayFile = "throwaway" // there when the cluster is one for tests
)

// takeFolder makes Dir/pg and becomes its only owner. The kernel lets go of the
// lock however this process ends.
func (c *Cluster) takeFolder() error {
	if c.opts.Dir == "" {
		return errors.New("no data folder given")
	}
	dir, err := filepath.Abs(c.opts.Dir)
	if err != nil {
		return err
	}
	home := filepath.Join(dir, "pg")
	if err := makeFolder(home); errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("%w: %w", ErrBlocked, err)
	} else if err != nil {
		return err
	}
	// as the kernel will tell it when asked where a process works
	if c.home, err = filepath.EvalSymlinks(home); err != nil {
		return err
	}
	owner, err := ownerOf(c.home)
	if err != nil {
		return err
	}
	if owner != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d, but this process runs as user %d", c.home, owner, os.Geteuid())
	}
	f, err := os.OpenFile(filepath.Join(c.home, lockFile), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		defer f.Close()
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("lock %s: %w", f.Name(), err)
		}
		pid, _ := os.ReadFile(f.Name())
		return fmt.Errorf("%w: process %s serves %s", ErrInUse, strings.TrimSpace(string(pid)), dir)
	}
	c.lock = f
	if err := f.Truncate(0); err != nil {
		return err
	}
	_, err = f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return err
}

// choose picks the programs, the data folder and the user to run as. Data that is
// already there decides, and exists says that it is.
func (c *Cluster) choose() (exists bool, err error) {
	name, version, err := c.existing()
	if err != nil {
		return false, err
	}
	found, err := Find(c.opts.BinDir)
	if err != nil {
		if name != "" {
			err = fmt.Errorf("the data in %s needs PostgreSQL %s: %w", c.home, version, err)
		}
		return false, err
	}
	c.bin = found[0]
	if name == "" {
		c.data = filepath.Join(c.home, strconv.Itoa(c.bin.Major))
		return false, c.chooseAccount(false)
	}
	c.data = filepath.Join(c.home, name)
	i := slices.IndexFunc(found, func(i Installation) bool { return strconv.Itoa(i.Major) == version })
	if i < 0 {
		return true, fmt.Errorf("%w: the data in %s needs PostgreSQL %s, found is only %v; install that version, or choose another data folder",
			ErrOtherMajor, c.data, version, found)
	}
	c.bin = found[i]
	return true, c.chooseAccount(true)
}

// existing finds the folder below home that holds a cluster, and its version. The
// newest wins if an upgrade left an older one beside it. Whatever cannot be read
// is an error, so that no new cluster takes the place of one that is there.
func (c *Cluster) existing() (name, version string, err error) {
	entries, err := os.ReadDir(c.home)
	if err != nil {
		return "", "", err
	}
	newest := -1
	for _, e := range entries {
		if !e.IsDir() || strings.HasSuffix(e.Name(), ".new") {
			continue
		}
		b, err := os.ReadFile(filepath.Join(c.home, e.Name(), "PG_VERSION"))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return "", "", err
		}
		v := strings.TrimSpace(string(b))
		whole, _, _ := strings.Cut(v, ".") // before 10 a major version had two numbers
		n, err := strconv.Atoi(whole)
		if err != nil {
			return "", "", fmt.Errorf("%s: PG_VERSION says %q", filepath.Join(c.home, e.Name()), v)
		}
		if n > newest {
			name, version, newest = e.Name(), v, n
		}
	}
	return name, version, nil
}

// checkKind keeps clusters for tests and for data apart: data that was never
// forced to disk cannot be made safe later, nor may safe data be treated so.
func (c *Cluster) checkKind(exists bool) error {
	mark := filepath.Join(c.home, throwawayFile)
	_, err := os.Stat(mark)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	marked := err == nil
	switch {
	case marked == c.opts.Throwaway:
		return nil
	case !exists && marked:
		return os.Remove(mark)
	case !exists:
		return writeFile(mark, "")
	case marked:
		return fmt.Errorf("the cluster in %s was made for tests and is not safe for data", c.home)
	default:
		return fmt.Errorf("the cluster in %s holds data and is not to be used for tests", c.home)
	}
}

// loadPassword reads the password or, for a cluster yet to be made, invents it.
func (c *Cluster) loadPassword(exists bool) error {
	path := filepath.Join(c.home, passwordFile)
	b, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if c.password = strings.TrimSpace(string(b)); c.password != "" {
		return nil
	}
	if exists {
		return fmt.Errorf("%s is missing or empty, and without it nobody can enter the cluster: put it back", path)
	}
	c.password = rand.Text()
	return writeFile(path, c.password+"\n")
}

// makeFolder makes a folder and its parents, open to pass through whatever the
// umask says: PostgreSQL may run as another user than we do.
func makeFolder(path string) error {
	st, err := os.Stat(path)
	if err == nil && !st.IsDir() {
		return fmt.Errorf("%s is not a folder", path)
	}
	if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := makeFolder(filepath.Dir(path)); err != nil {
		return err
	}
	if err := os.Mkdir(path, 0o711); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := os.Chmod(path, 0o711); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// writeFile replaces a file as a whole, or after a crash not at all.
func writeFile(path, content string) error {
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(content)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncFolder(filepath.Dir(path))
}

// syncFolder puts the names in a folder on disk.
func syncFolder(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

func ownerOf(path string) (uid int, err error) {
	st, err := os.Lstat(path)
	if err != nil {
		return 0, err
	}
	return int(st.Sys().(*syscall.Stat_t).Uid), nil
}
