package rest

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"imagerequests/auth"
)

var (
	prefixes = regexp.MustCompile(`^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)*$`)
	hosts    = regexp.MustCompile(`^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?$`)
)

// check refuses what would send clients to strange hosts or let strangers in.
func (o *Options) check() error {
	if !prefixes.MatchString(o.Prefix) {
		return fmt.Errorf("rest: the prefix %q is not a path like /api/v1", o.Prefix)
	}
	if o.BaseURL != "" {
		u, err := url.Parse(o.BaseURL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return errors.New("rest: the base URL is not like https://images.example.org: scheme, host and path alone") // it may hold a password
		}
		o.BaseURL = strings.TrimRight(o.BaseURL, "/")
	}
	for _, host := range o.Hosts {
		if !hosts.MatchString(host) {
			return fmt.Errorf("rest: the host %q is not like images.example.org or images.example.org:8080", host)
		}
	}
	for _, origin := range o.Origins {
		if u, err := url.Parse(origin); origin != "*" && (err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin) {
			return fmt.Errorf("rest: the origin %q is not like https://app.example.org", origin)
		}
	}
	for _, proxies := range o.TrustedProxies {
		if proxies.Bits() <= 0 {
			return fmt.Errorf("rest: %v would trust everybody as a proxy", proxies)
		}
	}
	return nil
}

// base is scheme and host for absolute links, "" if the request names a host that is not ours: then links are paths,
// which lead to wherever the client sent its request, and nothing that a stranger wrote gets into an answer.
func (o *Options) base(r *http.Request) string {
	if o.BaseURL != "" {
		return o.BaseURL
	}
	scheme, host := "http", r.Host
	if r.TLS != nil {
		scheme = "https"
	}
	if peer, err := netip.ParseAddrPort(r.RemoteAddr); err == nil && auth.Trusted(peer.Addr(), o.TrustedProxies) {
		if forwarded := lastHop(r, "X-Forwarded-Host"); forwarded != "" {
			host = forwarded
		}
		if forwarded := lastHop(r, "X-Forwarded-Proto"); forwarded == "http" || forwarded == "https" {
			scheme = forwarded
		}
	}
	if !o.known(host) {
		return ""
	}
	return scheme + "://" + host
}

// lastHop is what the nearest proxy wrote.
func lastHop(r *http.Request, header string) string {
	all := strings.Split(strings.Join(r.Header.Values(header), ","), ",")
	return strings.TrimSpace(all[len(all)-1])
}

// known tells whether the host, with or without a port, is one that links may lead to.
func (o *Options) known(host string) bool {
	if !hosts.MatchString(host) {
		return false
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		name = strings.Trim(host, "[]")
	} else if _, err := strconv.ParseUint(port, 10, 16); err != nil {
		return false
	}
	address, _ := netip.ParseAddr(name)
	return strings.EqualFold(name, "localhost") || address.IsLoopback() || slices.ContainsFunc(o.Hosts, func(ours string) bool {
		return strings.EqualFold(ours, host) || strings.EqualFold(strings.Trim(ours, "[]"), name)
	})
}
