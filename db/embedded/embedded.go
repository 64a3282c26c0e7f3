// Package embedded runs an installed PostgreSQL as a private cluster in the
// service's data folder. It is what the service uses when it is not told of a
// database of its owner's.
//
// The cluster can only be reached through a socket in a folder that nobody else
// may enter. Everything it needs is below Dir/pg: the data in a folder named
// after its major version, the password, the log and the lock that keeps a
// second service out.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"

	"imagerequests/db/safedriver"
)

// Errors that Start returns, wrapped with the particulars; compare with errors.Is.
var (
	// ErrInUse: another process serves this folder. The message names the folder and the process.
	ErrInUse = errors.New("the data folder is in use")
	// ErrNotFound: no PostgreSQL is installed where Find looks. The message says what to install.
	ErrNotFound = errors.New("no PostgreSQL server found")
	// ErrOtherMajor: the folder's data is of a major version that is not installed. The data is untouched.
	ErrOtherMajor = errors.New("the data belongs to another PostgreSQL version")
	// ErrBlocked: the user that PostgreSQL runs as cannot get to a folder, which the message names.
	ErrBlocked = errors.New("a folder is closed to PostgreSQL")
)

const (
	role                  = "imagerequests" // the cluster's only role
	defaultMaxConnections = 60
)

// Options say where the cluster lives and how it runs.
type Options struct {
	// Dir is the service's data folder; the cluster lives in its folder pg.
	// It is made when it is missing.
	Dir string
	// BinDir is the folder of the server programs; empty means the best of Find.
	BinDir string
	// Throwaway trades durability for speed, for tests: nothing is forced to disk
	// and whoever can open the socket is let in. A folder that was made this way
	// cannot be used without it, nor the other way round.
	Throwaway bool
	// MaxConnections is the server's limit; 0 means 60.
	MaxConnections int
	// Log gets progress and trouble; nil means nowhere.
	Log *slog.Logger
}

// Cluster is a running PostgreSQL. It is safe for concurrent use.
type Cluster struct {
	opts    Options
	log     *slog.Logger
	account *syscall.Credential // who runs PostgreSQL; nil means this process's own user
	bin     Installation

	home     string // Dir/pg
	data     string // Dir/pg/<major>
	sockets  string // the folder of the socket
	password string
	lock     *os.File

	mu      sync.Mutex
	running *postmaster // nil while there is none

	cancel   context.CancelFunc // ends the supervision
	ended    chan struct{}      // closed when the supervision has ended
	stopOnce sync.Once
	stopErr  error
}

// Start makes the cluster if it is new, starts its server or takes over one that
// an earlier process left behind, and returns when it accepts connections. From
// then on a server that dies is started again, until Stop.
//
// ctx bounds the start alone. There is no other limit, because recovery after a
// crash takes as long as it takes; the log tells how it goes. The errors are
// ErrInUse, ErrNotFound, ErrOtherMajor, ErrBlocked and those of the system.
func Start(ctx context.Context, o Options) (*Cluster, error) {
	if o.MaxConnections <= 0 {
		o.MaxConnections = defaultMaxConnections
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	c := &Cluster{opts: o, log: o.Log, ended: make(chan struct{})}
	pm, err := c.open(ctx)
	if err != nil {
		c.release()
		return nil, fmt.Errorf("embedded postgres: %w", err)
	}
	c.running = pm
	// the server outlives the context of its start
	life, cancel := context.WithCancel(context.WithoutCancel(ctx))
	c.cancel = cancel
	go c.supervise(life, pm)
	return c, nil
}

// Config tells how to reach a database of the cluster. A new cluster has the
// database "postgres"; others are made with CREATE DATABASE.
func (c *Cluster) Config(database string) safedriver.Config {
	return safedriver.Config{
		Network:  "unix",
		Addr:     c.socketPath(),
		User:     role,
		Password: c.password,
		Database: database,
		AppName:  "imagerequests",
	}
}

// Pid is the process id of the server, 0 while none runs.
func (c *Cluster) Pid() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.running == nil {
		return 0
	}
	return c.running.pid
}

// Stop ends the server and gives the folder free. Open transactions are rolled
// back. When ctx ends first the server is stopped at once, which loses nothing
// that was committed, and the error is that of ctx. Later calls wait for the
// first and return what it did.
func (c *Cluster) Stop(ctx context.Context) error {
	c.stopOnce.Do(func() {
		c.cancel()
		<-c.ended
		if pm := c.running; pm != nil {
			if err := pm.halt(ctx); err != nil {
				c.stopErr = fmt.Errorf("embedded postgres: stopped at once, it recovers at the next start: %w", err)
			}
		}
		c.setRunning(nil)
		c.dropSpareFolder()
		c.release()
	})
	return c.stopErr
}

// open does all of Start up to a server that is ready.
func (c *Cluster) open(ctx context.Context) (*postmaster, error) {
	if os.Getenv(watcherMark) != "" {
		return nil, errors.New("this process was started to watch another: its main must call embedded.Watcher first")
	}
	if err := c.takeFolder(); err != nil {
		return nil, err
	}
	exists, err := c.choose()
	if err != nil {
		return nil, err
	}
	if err := c.prepareSocketFolder(ctx); err != nil {
		return nil, err
	}
	if err := c.checkKind(exists); err != nil {
		return nil, err
	}
	// before initdb: whatever crash comes between, the password of the cluster is known
	if err := c.loadPassword(exists); err != nil {
		return nil, err
	}
	if !exists {
		if err := c.initdb(ctx); err != nil {
			return nil, err
		}
	}
	return c.launch(ctx)
}

// release lets the next owner have the folder. Closing alone would not: a child
// that is being made elsewhere in this process holds the file until its exec.
func (c *Cluster) release() {
	if c.lock != nil {
		_ = c.lock.Truncate(0)
		_ = syscall.Flock(int(c.lock.Fd()), syscall.LOCK_UN)
		_ = c.lock.Close()
	}
}

func (c *Cluster) setRunning(pm *postmaster) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.running = pm
}
