package safedriver

import (
	"encoding/binary"
	"errors"
	"net"
	"time"
)

// errProtocol ends a connection whose peer does not speak the Postgres protocol.
var errProtocol = errors.New("safedriver: the server sent a message of an impossible length")

const maxMessage = 1 << 30 // Postgres sends none longer

// socket is the connection under pgdriver, in plaintext. It follows the frames of
// the server's messages to learn what pgdriver throws away: whether the last
// answer is complete, whether a transaction is open, and what COMMIT really did.
//
// Only the reading goroutine touches its fields; cut may be called from any.
type socket struct {
	net.Conn             // plain, or TLS over raw
	raw      net.Conn    // what the operating system knows
	login    *time.Timer // closes a socket on which the login did not end

	head  [5]byte // type and length of the message being read
	nhead int     // how much of head is there
	left  int     // bytes of its body still to come
	body  int     // bytes of its body seen

	quiet  bool    // the last message ended an answer, nothing came after it
	status byte    // of the last ReadyForQuery: I idle, T in a transaction, E failed
	tag    [8]byte // start of the last command tag
	set    bool    // a SET, RESET, LISTEN or PREPARE was carried out
}

func (s *socket) Read(b []byte) (int, error) {
	n, err := s.Conn.Read(b)
	if !s.follow(b[:n]) {
		s.cut()
		return 0, errProtocol
	}
	return n, err
}

// cut closes the socket without any farewell, so that it cannot block.
func (s *socket) cut() { _ = s.raw.Close() }

// follow reports whether b goes on as the protocol demands.
func (s *socket) follow(b []byte) bool {
	for len(b) > 0 {
		if s.left > 0 {
			n := min(s.left, len(b))
			s.look(b[:n])
			s.left -= n
			b = b[n:]
			continue
		}
		n := copy(s.head[s.nhead:], b)
		s.nhead += n
		b = b[n:]
		if s.nhead < len(s.head) {
			return true
		}
		length := binary.BigEndian.Uint32(s.head[1:])
		if length < 4 || length > maxMessage || s.head[0] == 'Z' && length != 5 {
			return false
		}
		s.nhead, s.left, s.body = 0, int(length)-4, 0
		s.quiet = s.head[0] == '3' // CloseComplete has no body and nothing follows it
		if s.head[0] == 'C' {
			s.tag = [8]byte{}
		}
	}
	return true
}

// look sees a piece of the current message's body.
func (s *socket) look(b []byte) {
	switch s.head[0] {
	case 'Z':
		if s.status == 0 {
			s.login.Stop()
		}
		s.status, s.quiet = b[0], true
	case 'C':
		if s.body < len(s.tag) {
			copy(s.tag[s.body:], b)
		}
		s.body += len(b)
		if s.body >= 4 {
			switch string(s.tag[:4]) {
			case "SET\x00", "RESE", "LIST", "PREP":
				s.set = true
			}
		}
	}
}

// committed reports whether the last command was a COMMIT that the server obeyed.
func (s *socket) committed() bool { return string(s.tag[:7]) == "COMMIT\x00" }
