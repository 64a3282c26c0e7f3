package safedriver

import (
	"reflect"
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
