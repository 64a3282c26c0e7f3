package embedded

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

const (
	spareFile = "sockdir" // names the spare socket folder

	// longestSocket is the longest path of the socket that we use; the kernel's own
	// limit is 103 bytes on some systems and 107 on others.
	longestSocket = 99
)

// chooseAccount finds who runs PostgreSQL, which refuses to be root: the owner of
// the data if there is some, else the user postgres or nobody. PostgreSQL looks
// itself up, so it must be a user that the system knows.
func (c *Cluster) chooseAccount(exists bool) error {
	if os.Geteuid() != 0 {
		return nil
	}
	var u *user.User
	if exists {
		owner, err := ownerOf(c.data)
		if err != nil {
			return err
		}
		if u, err = user.LookupId(strconv.Itoa(owner)); err != nil {
			return fmt.Errorf("owner of %s: %w", c.data, err)
		}
	} else {
		var err error
		if u, err = user.Lookup("postgres"); err != nil {
			if u, err = user.Lookup("nobody"); err != nil {
				return errors.New("PostgreSQL does not run as root, and there is no user postgres or nobody to run it as")
			}
		}
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return fmt.Errorf("user %s: %w", u.Username, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return fmt.Errorf("user %s: %w", u.Username, err)
	}
	c.account = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid), Groups: []uint32{}}
	return nil
}

// reachable asks, by trying it, whether PostgreSQL's user can enter a folder, and
// names the one in the way: initdb's own words would not.
func (c *Cluster) reachable(ctx context.Context, folder string) error {
	if c.account == nil {
		return nil
	}
	try := func(dir string) error {
		cmd := c.command(ctx, "postgres", "--version")
		cmd.Dir = dir
		return cmd.Run()
	}
	if err := try("/"); err != nil {
		return fmt.Errorf("%w: user %d cannot run %s/postgres: %w", ErrBlocked, c.account.Uid, c.bin.Dir, err)
	}
	if try(folder) == nil {
		return nil
	}
	var path []string
	for p := folder; p != "/"; p = filepath.Dir(p) {
		path = append(path, p)
	}
	for _, p := range slices.Backward(path) {
		if err := try(p); err != nil {
			return fmt.Errorf("%w: as root we run PostgreSQL as user %d, which may not enter %s; choose another data folder or allow it (chmod o+x): %w",
				ErrBlocked, c.account.Uid, p, err)
		}
	}
	return nil
}

func (c *Cluster) socketPath() string { return filepath.Join(c.sockets, ".s.PGSQL.5432") }

// prepareSocketFolder makes the folder of the socket, for PostgreSQL's user alone:
// in the data folder, or where the path would be too long, in a temporary one.
func (c *Cluster) prepareSocketFolder(ctx context.Context) error {
	if err := c.reachable(ctx, c.home); err != nil {
		return err
	}
	c.sockets = filepath.Join(c.home, "sock")
	if len(c.socketPath()) > longestSocket {
		c.sockets = ""
		return c.spareSocketFolder(ctx)
	}
	if err := os.Mkdir(c.sockets, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return c.give(c.sockets)
}

// spareSocketFolder uses the temporary folder of last time, where a server may
// have been left behind, or makes one with a name that nobody can guess.
func (c *Cluster) spareSocketFolder(ctx context.Context) error {
	note := filepath.Join(c.home, spareFile)
	if b, err := os.ReadFile(note); err == nil && c.private(string(b)) {
		c.sockets = string(b)
		return nil
	}
	for _, tmp := range []string{os.TempDir(), "/tmp"} {
		if err := c.reachable(ctx, tmp); err != nil {
			continue
		}
		dir, err := os.MkdirTemp(tmp, "imagerequests-")
		if err != nil {
			continue
		}
		c.sockets = dir
		if len(c.socketPath()) <= longestSocket {
			if err := c.give(dir); err != nil {
				return err
			}
			return writeFile(note, dir)
		}
		_ = os.Remove(dir)
	}
	return fmt.Errorf("no folder for the socket: its path below %s and below %s is longer than %d bytes or closed to PostgreSQL",
		c.home, os.TempDir(), longestSocket)
}

// dropSpareFolder removes the temporary folder once no server uses it.
func (c *Cluster) dropSpareFolder() {
	if filepath.Dir(c.sockets) != c.home {
		_ = os.RemoveAll(c.sockets)
		_ = os.Remove(filepath.Join(c.home, spareFile))
	}
}

// private: a folder of PostgreSQL's user that nobody else may enter. One with the
// noted name may be somebody else's by now.
func (c *Cluster) private(dir string) bool {
	st, err := os.Lstat(dir)
	if err != nil || st.Mode() != os.ModeDir|0o700 {
		return false
	}
	uid := os.Geteuid()
	if c.account != nil {
		uid = int(c.account.Uid)
	}
	return int(st.Sys().(*syscall.Stat_t).Uid) == uid
}

// give makes PostgreSQL's user the owner.
func (c *Cluster) give(path string) error {
	if err := os.Chmod(path, 0o700); err != nil {
		return err
	}
	if c.account == nil {
		return nil
	}
	return os.Lchown(path, int(c.account.Uid), int(c.account.Gid))
}
