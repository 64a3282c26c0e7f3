package safedriver

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
)

// encryption turns sslmode and its files into cfg.TLS, with libpq's meanings but
// not its defaults: another machine must be verified in full.
func (s settings) encryption(cfg *Config) error {
	mode := s["sslmode"]
	switch mode {
	case "", "disable", "allow", "prefer", "require", "verify-ca", "verify-full":
	default:
		return errors.New("sslmode is none of disable, allow, prefer, require, verify-ca and verify-full")
	}
	if cfg.Network == "unix" {
		return nil
	}
	host, _, _ := net.SplitHostPort(cfg.Addr)
	switch here := isLoopback(host); {
	case mode == "" && here:
		mode = "disable"
	case mode == "require" && s["sslrootcert"] != "":
		mode = "verify-ca"
	}
	if mode != "verify-full" && !isLoopback(host) && !cfg.AllowInsecure {
		return fmt.Errorf("sslmode is %s: %w", cmp.Or(mode, "not given"), errUnverified)
	}
	if mode == "disable" {
		return nil
	}
	return s.certificates(cfg, mode, cmp.Or(s["host"], host))
}

func (s settings) certificates(cfg *Config, mode, host string) error {
	roots, err := readRoots(s["sslrootcert"])
	if err != nil {
		return fmt.Errorf("sslrootcert: %w", err)
	}
	cfg.TLS = &tls.Config{ServerName: host, RootCAs: roots, InsecureSkipVerify: mode != "verify-full"}
	cfg.TLSOptional = mode != "require" && mode != "verify-ca" && mode != "verify-full"
	if mode == "verify-ca" {
		cfg.TLS.VerifyConnection = verifyChain(roots)
	}
	if (s["sslcert"] == "") != (s["sslkey"] == "") {
		return errors.New("sslcert and sslkey are needed together")
	}
	if s["sslcert"] != "" {
		pair, err := tls.LoadX509KeyPair(s["sslcert"], s["sslkey"])
		if err != nil {
			return fmt.Errorf("sslcert and sslkey: %w", err)
		}
		cfg.TLS.Certificates = []tls.Certificate{pair}
	}
	return nil
}

// readRoots returns nil, the system's authorities, for no name and for "system".
func readRoots(name string) (*x509.CertPool, error) {
	if name == "" || name == "system" {
		return nil, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	pem, err := io.ReadAll(io.LimitReader(f, 4<<20))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("the file holds no certificate")
	}
	return roots, nil
}

// verifyChain checks who signed the server's certificate, not whose name is on it.
func verifyChain(roots *x509.CertPool) func(tls.ConnectionState) error {
	return func(state tls.ConnectionState) error {
		between := x509.NewCertPool()
		for _, cert := range state.PeerCertificates[1:] {
			between.AddCert(cert)
		}
		_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between})
		return err
	}
}
