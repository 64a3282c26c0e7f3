package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Places in a request that is filled anew each time.
var (
	knownID     = "11111111-1111-4111-8111-111111111111" // the id of an image request that everybody may see
	knownCursor = strings.Repeat("3", 91)                // its place in the usual list, as GraphQL tells it
	freshID     = "22222222-2222-4222-8222-222222222222" // an id that was never sent
)

// known is an image request that everybody may see.
type known struct{ id, cursor string }

// ask is an HTTP/1.1 request, made beforehand: the one who measures should have little to do. It holds its own length.
type ask struct {
	text                []byte
	ids, cursors, fresh []int // where the places are
}

func newAsk(method, path, token, body string, headers ...string) *ask {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: application/json\r\n", method, path)
	if token != "" {
		fmt.Fprintf(&b, "Authorization: Token %s\r\n", token)
	}
	for _, h := range headers {
		b.WriteString(h + "\r\n")
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	b.WriteString("\r\n" + body)
	a := &ask{text: b.Bytes()}
	for i := range a.text {
		switch rest := a.text[i:]; {
		case bytes.HasPrefix(rest, []byte(knownID)):
			a.ids = append(a.ids, i)
		case bytes.HasPrefix(rest, []byte(knownCursor)):
			a.cursors = append(a.cursors, i)
		case bytes.HasPrefix(rest, []byte(freshID)):
			a.fresh = append(a.fresh, i)
		}
	}
	return a
}

// fill puts what is in its places into a copy of the request.
func (a *ask) fill(text []byte, all []known, r *rand.ChaCha8) {
	if len(a.ids)+len(a.cursors) > 0 {
		one := all[r.Uint64()%uint64(len(all))]
		for _, at := range a.ids {
			copy(text[at:], one.id)
		}
		for _, at := range a.cursors {
			copy(text[at:], one.cursor)
		}
	}
	if len(a.fresh) > 0 {
		var id [16]byte
		_, _ = r.Read(id[:])
		var form [36]byte
		hex.Encode(form[:], id[:4])
		hex.Encode(form[9:], id[4:6])
		hex.Encode(form[14:], id[6:8])
		hex.Encode(form[19:], id[8:10])
		hex.Encode(form[24:], id[10:])
		form[8], form[13], form[18], form[23] = '-', '-', '-', '-'
		for _, at := range a.fresh {
			copy(text[at:], form[:])
		}
	}
}

// client is one connection that asks and waits for the answer, again and again.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	text []byte
	body []byte
	rand *rand.ChaCha8
}

func dial(address string, a *ask) (*client, error) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		return nil, err
	}
	var seed [32]byte
	for i := 0; i < len(seed); i += 8 {
		n := rand.Uint64()
		for j := range 8 {
			seed[i+j] = byte(n >> (8 * j))
		}
	}
	return &client{conn: conn, in: bufio.NewReaderSize(conn, 64<<10), text: slices.Clone(a.text), rand: rand.NewChaCha8(seed)}, nil
}

// do asks once. Its answer's body stands in c.body until the next.
func (c *client) do(a *ask, all []known) error {
	a.fill(c.text, all, c.rand)
	if _, err := c.conn.Write(c.text); err != nil {
		return err
	}
	status, length, err := c.head()
	if err != nil {
		return err
	}
	c.body = c.body[:0]
	if length < 0 {
		err = c.chunks()
	} else {
		err = c.read(length)
	}
	if err == nil && (status != 200 || bytes.HasPrefix(c.body, []byte(`{"errors"`))) {
		err = fmt.Errorf("the answer is %d %.300s", status, c.body)
	}
	return err
}

// head reads what stands before the body; the length is -1 for a body in chunks.
func (c *client) head() (status, length int, err error) {
	for first := true; ; first = false {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return 0, 0, err
		}
		line = bytes.TrimRight(line, "\r\n")
		if first {
			if len(line) < 12 {
				return 0, 0, fmt.Errorf("no HTTP: %q", line)
			}
			if status, err = strconv.Atoi(string(line[9:12])); err != nil {
				return 0, 0, err
			}
			continue
		}
		if len(line) == 0 {
			return status, length, nil
		}
		name, value, _ := bytes.Cut(line, []byte(": "))
		switch {
		case len(name) == len("Content-Length") && bytes.EqualFold(name, []byte("Content-Length")):
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, 0, err
			}
		case len(name) == len("Transfer-Encoding") && bytes.EqualFold(name, []byte("Transfer-Encoding")):
			length = -1
		}
	}
}

func (c *client) chunks() error {
	for {
		line, err := c.in.ReadSlice('\n')
		if err != nil {
			return err
		}
		size, err := strconv.ParseUint(string(bytes.TrimRight(line, "\r\n")), 16, 31)
		if err != nil {
			return err
		}
		if err := c.read(int(size)); err != nil {
			return err
		}
		if _, err := c.in.Discard(2); err != nil || size == 0 {
			return err
		}
	}
}

func (c *client) read(n int) error {
	at := len(c.body)
	c.body = slices.Grow(c.body, n)[:at+n]
	_, err := io.ReadFull(c.in, c.body[at:])
	return err
}

// once is the body of one answer.
func once(address string, a *ask, all ...known) (body []byte, err error) {
	c, err := dial(address, a)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.conn.Close()) }()
	err = c.do(a, all)
	return c.body, err
}

// load lets so many clients ask for a time. What is under way at its end is waited for and counts. Around is called when all
// are connected and warm, with what does the measuring.
func load(ctx context.Context, address string, a *ask, from []known, clients int, round time.Duration, around func(func() error) error) (latencies []time.Duration, took time.Duration, err error) {
	all := make([]*client, clients)
	for i := range all {
		if all[i], err = dial(address, a); err != nil {
			return nil, 0, err
		}
		defer func() { _ = all[i].conn.Close() }()
	}
	if _, _, err := drive(ctx, all, a, from, round/5); err != nil {
		return nil, 0, err
	}
	err = around(func() (err error) {
		latencies, took, err = drive(ctx, all, a, from, round)
		return err
	})
	return latencies, took, err
}

func drive(ctx context.Context, all []*client, a *ask, from []known, round time.Duration) (latencies []time.Duration, took time.Duration, err error) {
	each, failed := make([][]time.Duration, len(all)), make([]error, len(all))
	began := time.Now()
	var asking sync.WaitGroup
	for i, c := range all {
		asking.Go(func() {
			for before := began; before.Sub(began) < round && ctx.Err() == nil; {
				if failed[i] = c.do(a, from); failed[i] != nil {
					return
				}
				now := time.Now()
				each[i] = append(each[i], now.Sub(before))
				before = now
			}
		})
	}
	asking.Wait()
	took = time.Since(began)
	if err := errors.Join(append(failed, ctx.Err())...); err != nil {
		return nil, 0, err
	}
	latencies = slices.Concat(each...)
	slices.Sort(latencies)
	return latencies, took, nil
}
