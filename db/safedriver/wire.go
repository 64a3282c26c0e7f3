package safedriver

import (
	"bufio"
	"database/sql/driver"
	"encoding/binary"
	"fmt"
	"io"
	"strings"
	"time"
)

// wire speaks the extended protocol for Read, beside pgdriver on the same socket: between two answers neither holds anything
// of the other's. Unlike pgdriver it takes values in binary and makes one text of many rows, which is what most of the time
// for a list went into. Whatever it does not expect is an error, and so the end of the connection.
type wire struct {
	socket      *socket
	readTimeout time.Duration // for each wait
	sendTimeout time.Duration
	in          *bufio.Reader
	out         []byte
	block       strings.Builder // that the next rows are parts of
	grown       int             // how large the last one was made
}

// wireBuffer is larger than what Postgres sends at once.
const wireBuffer = 16 << 10

// Rows are parts of texts of at most so much, each twice as large as the one before: a row of a few, or of one alone, keeps little that
// is not its own.
const leastBlock, mostBlock = 2 << 10, 32 << 10

func newWire(s *socket, cfg Config) wire {
	return wire{socket: s, readTimeout: cfg.ReadTimeout, sendTimeout: cfg.WriteTimeout, in: bufio.NewReaderSize(nil, wireBuffer)}
}

// Read waits for more of the answer.
func (w *wire) Read(b []byte) (int, error) {
	_ = w.socket.SetReadDeadline(time.Now().Add(w.readTimeout))
	return w.socket.Read(b)
}

// What is sent: messages one after the other, and a Sync behind them.

func (w *wire) begin() { w.out = w.out[:0] }

// message adds one of a kind, whose body is added by body.
func (w *wire) message(kind byte, body func(b []byte) []byte) {
	start := len(w.out) + 1
	w.out = body(append(w.out, kind, 0, 0, 0, 0))
	binary.BigEndian.PutUint32(w.out[start:], uint32(len(w.out)-start)) //nolint:gosec // as long as what callers may send
}

func (w *wire) parse(name, query string) {
	w.message('P', func(b []byte) []byte {
		return append(append(append(append(append(b, name...), 0), query...), 0), 0, 0) // no types: Postgres knows them
	})
}

func (w *wire) close(name string) {
	w.message('C', func(b []byte) []byte { return append(append(append(b, 'S'), name...), 0) })
}

// execute takes arguments as text, nil for NULL, and wants the values of rows in binary.
func (w *wire) execute(name string, args []*string) {
	w.message('B', func(b []byte) []byte {
		b = append(append(append(b, 0), name...), 0)
		b = binary.BigEndian.AppendUint16(append(b, 0, 0), uint16(len(args))) //nolint:gosec // few
		for _, arg := range args {
			if arg == nil {
				b = append(b, 0xff, 0xff, 0xff, 0xff)
				continue
			}
			b = append(binary.BigEndian.AppendUint32(b, uint32(len(*arg))), *arg...) //nolint:gosec // likewise
		}
		return append(b, 0, 1, 0, 1)
	})
	w.message('E', func(b []byte) []byte { return append(b, 0, 0, 0, 0, 0) })
}

func (w *wire) send() error {
	w.message('S', func(b []byte) []byte { return b })
	_ = w.socket.SetWriteDeadline(time.Now().Add(w.sendTimeout))
	n, err := w.socket.Write(w.out)
	if err != nil && n == 0 {
		return driver.ErrBadConn
	}
	return err
}

// answer reads all that is said up to ReadyForQuery, gives the rows to row, with which of the queries they are of, and tells how
// many statements were prepared. The server's refusal is its error; so are those of row, which leave the rest unread.
func (w *wire) answer(row func(int, Row) error) (parsed int, refused error) {
	w.in.Reset(w)
	w.grown = 0
	defer w.block.Reset()
	of := 0
	for {
		head, err := w.in.Peek(5)
		if err != nil {
			return parsed, cut(err)
		}
		kind, length := head[0], int(binary.BigEndian.Uint32(head[1:]))-4 // which the socket has looked at
		_, _ = w.in.Discard(5)
		body := ""
		if kind == 'D' || kind == 'E' {
			body, err = w.body(length)
		} else {
			_, err = w.in.Discard(length)
		}
		if err != nil {
			return parsed, cut(err)
		}
		switch kind {
		case 'D':
			if len(body) < 2 {
				return parsed, errProtocol
			}
			if err := row(of, Row(body[2:])); err != nil { // behind their number
				return parsed, err
			}
		case '1':
			parsed++
		case 'E':
			if refused = refusalOf(body); !inSync(refused) {
				return parsed, refused
			}
		case 'Z':
			return parsed, refused
		case 'C', 'I': // done, or there was nothing to do
			of++
		case '2', '3', 'N', 'S', 'A': // bound, closed; and what it says besides
		default:
			return parsed, fmt.Errorf("safedriver: an unexpected message %q", kind)
		}
	}
}

// body is that of a message, as a part of the block if it is not too large for that.
func (w *wire) body(length int) (string, error) {
	if length > w.in.Size() {
		b := make([]byte, length)
		_, err := io.ReadFull(w.in, b)
		return string(b), err
	}
	b, err := w.in.Peek(length)
	if w.block.Cap()-w.block.Len() < length {
		w.block.Reset()
		w.block.Grow(max(length, w.grown))
		w.grown = min(max(leastBlock, 2*w.grown), mostBlock)
	}
	start := w.block.Len()
	w.block.Write(b)
	_, _ = w.in.Discard(len(b))
	return w.block.String()[start:], err
}

// cut is what the end of a connection amidst an answer is.
func cut(err error) error {
	if err == io.EOF { //nolint:errorlint // as bufio gives it
		return io.ErrUnexpectedEOF
	}
	return err
}

// Row is a row as Postgres sends it: of each value its length in four bytes, -1 for NULL, and then its binary form.
type Row string

// Next takes the first value off the row; false if it is NULL, or if there is none.
func (r *Row) Next() (value string, ok bool) {
	rest := string(*r)
	if len(rest) < 4 {
		*r = "" // what is left is no value
		return "", false
	}
	n := int(int32(uint32(rest[0])<<24 | uint32(rest[1])<<16 | uint32(rest[2])<<8 | uint32(rest[3])))
	rest = rest[4:]
	if ok = n >= 0 && n <= len(rest); ok {
		value, rest = rest[:n], rest[n:]
	}
	*r = Row(rest)
	return value, ok
}
