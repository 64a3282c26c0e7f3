package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"imagerequests/db/safedriver"
)

// Lines of postmaster.pid: the folder of the socket, and whether the server is ready.
const (
	socketLine = 4
	statusLine = 7
)

// Exists tells whether there is a cluster in the data folder, running or not.
func Exists(dir string) (bool, error) {
	c := &Cluster{home: filepath.Join(dir, "pg")}
	name, _, err := c.existing()
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return name != "", err
}

// Running tells how to reach a database of the cluster that another process runs
// in the data folder, as a command beside the server needs it. It looks into files
// alone: whoever can read the folder's password may use the cluster. An error
// says that no server is ready there.
func Running(dir, database string) (safedriver.Config, error) {
	c := &Cluster{}
	home, err := filepath.Abs(filepath.Join(dir, "pg"))
	if err != nil {
		return safedriver.Config{}, err
	}
	c.home = home
	name, _, err := c.existing()
	if err != nil {
		return safedriver.Config{}, fmt.Errorf("embedded postgres: %w", err)
	}
	if name == "" {
		return safedriver.Config{}, fmt.Errorf("embedded postgres: there is no cluster in %s", home)
	}
	c.data = filepath.Join(home, name)
	text, err := os.ReadFile(filepath.Join(c.data, "postmaster.pid"))
	if err != nil {
		return safedriver.Config{}, fmt.Errorf("embedded postgres: no server runs in %s: %w", home, err)
	}
	lines := strings.Split(string(text), "\n")
	if len(lines) <= statusLine || strings.TrimSpace(lines[statusLine]) != "ready" {
		return safedriver.Config{}, fmt.Errorf("embedded postgres: the server in %s is not ready yet; try again", home)
	}
	c.sockets = strings.TrimSpace(lines[socketLine])
	if err := c.loadPassword(true); err != nil {
		return safedriver.Config{}, err
	}
	return c.Config(database), nil
}
