package worker

import (
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"path/filepath"
	"sync"
	"testing"

	"imagerequests/db/dbtest"
	"imagerequests/imaging"
)

// A completion that was stored and whose answer was lost is sent again, and is a success; so is a failure.
func TestLostAnswer(t *testing.T) {
	t.Parallel()
	for word, err := range map[string]error{"COMPLETED": nil, "FAILED": &Failure{Code: "X", Message: "x"}} {
		t.Run(word, func(t *testing.T) {
			t.Parallel()
			b := newBench(t)
			id := b.approved(t, "x")
			wire := newWire(t, b.cfg.Addr)
			b.cfg.Addr = wire.addr
			far := bench{Store: dbtest.Open(t, b.cfg)}
			r := far.start(t, imagerFunc(func(context.Context, Job, func(Report)) (Result, error) {
				wire.losesAnswerAfter(word)
				return Result{Alias: "once"}, err
			}))
			v := b.settled(t, id)
			if err == nil {
				same(t, "once", v.Alias)
				eventually(t, "the worker knows", func() bool { return r.log.has("the image is made") })
			} else {
				same(t, "X", v.Failure().Code)
				eventually(t, "the worker knows", func() bool { return r.log.has("there is no image") })
			}
			if wire.lost() != 1 {
				t.Error("no answer was lost")
			}
			r.stop()
			if r.log.has("WARN") {
				t.Errorf("the worker is not content: %s", r.log.buf.String())
			}
			same(t, 4, len(b.actions(t, id)))
		})
	}
}

// An outage of the database that is shorter than the lease harms nothing: report and completion are sent again.
func TestShortOutage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.approved(t, "x")
	wire := newWire(t, b.cfg.Addr)
	b.cfg.Addr = wire.addr
	far := bench{Store: dbtest.Open(t, b.cfg)}
	far.start(t, imagerFunc(func(ctx context.Context, _ Job, report func(Report)) (Result, error) {
		wire.cut(true)
		report(Report{Stage: "copy"})
		wire.awaitRefused(ctx, 2)
		wire.cut(false)
		if eventually(t, "the report arrives", func() bool { return b.version(t, id).Stage != nil }); ctx.Err() != nil {
			return Result{}, ctx.Err()
		}
		wire.cut(true)
		go func() {
			wire.awaitRefused(ctx, 2)
			wire.cut(false)
		}()
		return Result{Alias: "there"}, nil
	}), func(o *Options) { o.LeaseSeconds = 60 })
	v := b.settled(t, id)
	same(t, "there", v.Alias)
	same(t, 1, v.Attempt)
}

// An outage that lasts as long as the lease ends the imager: another may have the version by then.
func TestLongOutage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.approved(t, "x")
	wire := newWire(t, b.cfg.Addr)
	b.cfg.Addr = wire.addr
	far := bench{Store: dbtest.Open(t, b.cfg)}
	causes := make(chan error, 1)
	r := far.start(t, imagerFunc(func(ctx context.Context, _ Job, _ func(Report)) (Result, error) {
		wire.cut(true)
		<-ctx.Done()
		causes <- context.Cause(ctx)
		return Result{}, ctx.Err()
	}))
	same(t, errLost.Error(), receive(t, causes, "the imager is stopped").Error())
	r.stop()
	same(t, imaging.Imaging, b.status(t, id))
	same(t, 3, len(b.actions(t, id)))
}

// wire passes on what is said between a store and Postgres, until it is told not to.
type wire struct {
	addr, server string

	mu      sync.Mutex
	word    string // armed by losesAnswerAfter
	losses  int
	down    bool
	refused chan struct{} // one for each connection that was refused
	conns   map[net.Conn]bool
}

func newWire(t *testing.T, server string) *wire {
	t.Helper()
	w := &wire{addr: filepath.Join(t.TempDir(), "s"), server: server, refused: make(chan struct{}, 1000), conns: map[net.Conn]bool{}}
	listener, err := net.Listen("unix", w.addr)
	if err != nil {
		t.Fatal(err)
	}
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			ended.Go(func() { w.connect(client) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		w.cut(true)
		ended.Wait()
	})
	return w
}

// losesAnswerAfter lets the next transaction in which the word is an argument be committed, and hangs up instead of saying so.
func (w *wire) losesAnswerAfter(word string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.word = string(binary.BigEndian.AppendUint32(nil, uint32(len(word)))) + word // as Bind has it
}

func (w *wire) lost() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.losses
}

// cut hangs up on everybody, and lets nobody in while it lasts.
func (w *wire) cut(down bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down = down; down {
		for c := range w.conns {
			_ = c.Close()
		}
	}
}

// awaitRefused waits until so many have come in vain.
func (w *wire) awaitRefused(ctx context.Context, n int) {
	for range n {
		select {
		case <-w.refused:
		case <-ctx.Done():
			return
		}
	}
}

func (w *wire) keep(c net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.down {
		select {
		case w.refused <- struct{}{}:
		default:
		}
		return false
	}
	w.conns[c] = true
	return true
}

// heard notes what a client said, and tells whether its answer is to be lost.
func (w *wire) heard(said []byte, meant *bool) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.word != "" && bytes.Contains(said, []byte(w.word)) {
		*meant, w.word = true, ""
	}
	if *meant && bytes.Contains(said, []byte("COMMIT")) {
		w.losses++
		return true
	}
	return false
}

func (w *wire) connect(client net.Conn) {
	defer func() { _ = client.Close() }()
	if !w.keep(client) {
		return
	}
	server, err := net.Dial("unix", w.server)
	if err != nil {
		return
	}
	back := make(chan struct{})
	go func() {
		defer close(back)
		_, _ = io.Copy(client, server)
		_ = client.Close()
	}()
	defer func() { _ = server.Close(); <-back }()
	buffer := make([]byte, 1<<16)
	for meant := false; ; {
		n, err := client.Read(buffer)
		if err != nil {
			return
		}
		losing := w.heard(buffer[:n], &meant)
		if losing {
			_ = client.Close() // the answer finds nobody
		}
		if _, err := server.Write(buffer[:n]); err != nil {
			return
		}
		if losing {
			_, _ = server.Write([]byte{'X', 0, 0, 0, 4}) // goodbye, so that the commit has been done when the server hangs up
			<-back
			return
		}
	}
}
