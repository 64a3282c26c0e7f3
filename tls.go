package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// lookInterval is how often, at most, the files of a certificate are looked at for a new one.
const lookInterval = time.Second

// certificate is the pair of --tls-cert and --tls-key, read anew when its files change, so that a renewal needs no restart.
type certificate struct {
	certFile, keyFile string
	log               *slog.Logger

	mu     sync.Mutex
	pair   *tls.Certificate
	seen   [2]stamp // of the files that pair was read from
	looked time.Time
}

// stamp tells one state of a file from another.
type stamp struct {
	modified time.Time
	size     int64
}

// loadCertificate reads the pair. It fails if that is not possible, the two do not belong together, or others may read or
// change the key.
func loadCertificate(certFile, keyFile string, log *slog.Logger) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, log: log, looked: time.Now()}
	if err := c.load(); err != nil {
		return nil, err
	}
	if end := c.pair.Leaf.NotAfter; time.Now().After(end) {
		log.Warn("the certificate of --tls-cert has expired: clients will refuse it", "since", end)
	}
	return c, nil
}

func (c *certificate) load() error {
	seen, err := c.stamps()
	if err != nil {
		return err
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return fmt.Errorf("--tls-cert and --tls-key: %w", err)
	}
	c.pair, c.seen = &pair, seen
	return nil
}

func (c *certificate) stamps() (seen [2]stamp, err error) {
	for i, name := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return seen, fmt.Errorf("--tls-cert and --tls-key: %w", err)
		}
		if name == c.keyFile && info.Mode()&0o027 != 0 { // a group may read it, as that of Debian's ssl-cert
			return seen, fmt.Errorf("--tls-key: %s has mode %04o: make it 0600, or 0640 with a group of those who may know it", name, info.Mode().Perm())
		}
		seen[i] = stamp{info.ModTime(), info.Size()}
	}
	return seen, nil
}

// get is the newest pair that could be read.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.looked) >= lookInterval {
		c.looked = now
		c.look()
	}
	return c.pair, nil
}

// look reads the pair anew if its files have changed. One that cannot be used, such as half a renewal, is looked at again.
func (c *certificate) look() {
	seen, err := c.stamps()
	if err == nil && seen == c.seen {
		return
	}
	if err = errors.Join(err, c.load()); err != nil {
		c.log.Warn("the new certificate cannot be used, the old one stays", "error", err)
		return
	}
	c.log.Info("there is a new certificate", "until", c.pair.Leaf.NotAfter)
}

// ends is when the pair in use expires.
func (c *certificate) ends() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pair.Leaf.NotAfter
}

// config is how the server speaks TLS: 1.2 and 1.3, with HTTP/2 and 1.1; WebSockets come by 1.1.
func (c *certificate) config() *tls.Config {
	return &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get, NextProtos: []string{"h2", "http/1.1"}}
}
