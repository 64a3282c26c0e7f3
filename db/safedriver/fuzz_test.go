package safedriver

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"reflect"
	"slices"
	"strconv"
	"testing"
	"time"
)

// FuzzFrames lets a server say anything, in pieces of any size: what is learned of it does not hang on the pieces, nothing is
// looked at beyond a message's end, and an impossible length ends it for good.
func FuzzFrames(f *testing.F) {
	const ready, commit = "Z\x00\x00\x00\x05I", "C\x00\x00\x00\x0bCOMMIT\x00"
	for _, text := range []string{
		"", ready, commit + ready, "C\x00\x00\x00\x08SET\x00" + ready, "D\x00\x00\x00\x04", "D\x00\x00\x00\x03", "D\xff\xff\xff\xff", "3\x00\x00\x00\x04", "Z\x00\x00\x00\x04" + ready,
		"C\x00\x00\x00\x0cROLLBACK\x00" + "Z\x00\x00\x00\x05E", "T\x00\x00\x00\x20short",
	} {
		f.Add([]byte(text), uint8(1))
		f.Add([]byte(text), uint8(3))
	}
	type state struct {
		Head               [5]byte
		Nhead, Left        int
		Quiet, Set, Follow bool
		Status             byte
		Tag                [8]byte
		Committed          bool
	}
	read := func(text []byte, piece int) state {
		s := &socket{login: time.NewTimer(time.Hour)}
		defer s.login.Stop()
		going := true
		for at := 0; at < len(text) && going; at += piece {
			going = s.follow(text[at:min(at+piece, len(text))])
		}
		if !going {
			return state{}
		}
		return state{s.head, s.nhead, s.left, s.quiet, s.set, going, s.status, s.tag, s.committed()}
	}
	f.Fuzz(func(t *testing.T, text []byte, piece uint8) {
		whole, pieces := read(text, max(1, len(text))), read(text, max(1, int(piece)))
		if !reflect.DeepEqual(whole, pieces) {
			t.Errorf("%q at once is %+v, in pieces of %d %+v", text, whole, piece, pieces)
		}
		if whole.Left < 0 || whole.Left > maxMessage || whole.Nhead >= len(whole.Head) {
			t.Errorf("%q: %+v", text, whole)
		}
	})
}

// fakeServer is a connection on which a server says something, in pieces, and then ends it.
type fakeServer struct {
	net.Conn
	text  []byte
	piece int
}

func (s *fakeServer) Read(b []byte) (int, error) {
	if len(s.text) == 0 {
		return 0, io.EOF
	}
	n := copy(b[:min(s.piece, len(b))], s.text)
	s.text = s.text[n:]
	return n, nil
}

func (*fakeServer) SetReadDeadline(time.Time) error { return nil }
func (*fakeServer) Close() error                    { return nil }

// FuzzAnswer lets a server answer anything to a prepared read, in pieces of any size: what is understood does not hang on the pieces, and
// each row comes to an end.
func FuzzAnswer(f *testing.F) {
	const ready, bound, done = "Z\x00\x00\x00\x05I", "2\x00\x00\x00\x04", "C\x00\x00\x00\x0dSELECT 1\x00"
	const row = "D\x00\x00\x00\x0f\x00\x02\x00\x00\x00\x01a\xff\xff\xff\xff"
	for _, text := range []string{
		"", ready, "1\x00\x00\x00\x04" + bound + row + done + bound + row + row + done + ready, bound + "D\x00\x00\x00\x05\x00", bound + "D\x00\x00\x00\x08\x00\x01\x00\x00" + done + ready,
		"E\x00\x00\x00\x14SERROR\x00C26000\x00\x00" + ready, "E\x00\x00\x00\x0cSFATAL\x00\x00", "S\x00\x00\x00\x08a\x00b\x00" + ready, bound + "I\x00\x00\x00\x04" + ready, "X\x00\x00\x00\x04",
	} {
		f.Add([]byte(text), uint8(1))
		f.Add([]byte(text), uint8(7))
	}
	type answer struct {
		Rows   []string
		Parsed int
		Err    string
	}
	hear := func(text []byte, piece int) (a answer) {
		conn := &fakeServer{text: text, piece: piece}
		s := &socket{Conn: conn, raw: conn, login: time.NewTimer(time.Hour)}
		defer s.login.Stop()
		w := newWire(s, Config{})
		var err error
		a.Parsed, err = w.answer(func(of int, r Row) error {
			told := strconv.Itoa(of)
			for len(r) > 0 {
				value, ok := r.Next()
				told += fmt.Sprintf(" %v %q", ok, value)
			}
			a.Rows = append(a.Rows, told)
			return nil
		})
		a.Err = fmt.Sprint(err)
		return a
	}
	f.Fuzz(func(t *testing.T, text []byte, piece uint8) {
		if slices.ContainsFunc(binaryLengths(text), func(n uint32) bool { return n > 1<<20 }) {
			return // it is waited for, in as much memory as is said
		}
		whole, pieces := hear(text, max(1, len(text))), hear(text, max(1, int(piece)))
		if whole.Err == errProtocol.Error() || pieces.Err == errProtocol.Error() { // which shows as soon as it has come
			return
		}
		if !reflect.DeepEqual(whole, pieces) {
			t.Errorf("%q at once is %+v, in pieces of %d %+v", text, whole, piece, pieces)
		}
	})
}

// binaryLengths are those of the messages of a text.
func binaryLengths(text []byte) (all []uint32) {
	for len(text) >= 5 {
		n := binary.BigEndian.Uint32(text[1:])
		all = append(all, n)
		text = text[min(uint64(len(text)), max(5, uint64(n)+1)):]
	}
	return all
}
