// Package chaos shows that the service keeps its promises while everything around it breaks. It runs the real program as a
// process, over a durable Postgres behind a Proxy and behind a Balancer, has clients write, read and follow what happens
// through it, breaks something, and afterwards compares what the clients were told with what the database holds and with
// what the subscribers heard.
//
// go test ./chaos runs a short variant of each fault; make chaos all of them at their full length. docs/reliability.md has
// the figures.
package chaos
