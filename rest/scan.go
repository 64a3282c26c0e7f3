package rest

import (
	"fmt"
	"regexp"
	"strconv"
	"unicode/utf8"
)

// Limits of the JSON that is read. Bare names are for what people wrote by hand, so they need no depth.
const (
	maxDepth     = 10_000 // that of encoding/json
	maxBareDepth = 64
	maxBareName  = 128
)

// syntaxError is what is wrong with a text, and at which byte.
type syntaxError struct {
	message string
	at      int
}

// in says it as Python's json does: lines and columns count from 1 and in characters, as the client sees its text.
func (e *syntaxError) in(text []byte) string {
	line, column, char := 1, 1, 0
	for i := 0; i < e.at; char++ {
		_, size := utf8.DecodeRune(text[i:])
		if column++; text[i] == '\n' {
			line, column = line+1, 1
		}
		i += size
	}
	return fmt.Sprintf("%s: line %d column %d (char %d)", e.message, line, column, char)
}

// scanner walks through one JSON text, once and without recursion, to find what is wrong with it. If bare is set, names
// of members need no quotes, and it notes where such names begin and end.
type scanner struct {
	text  []byte
	i     int
	bare  bool
	names []int
	open  []byte // the brackets that are open
}

// scan is nil if the text is JSON but for bare names, where they are allowed.
func (s *scanner) scan() *syntaxError {
	s.space()
	for {
		if err := s.value(); err != nil {
			return err
		}
		if done, err := s.next(); done || err != nil {
			return err
		}
	}
}

// value steps over a scalar or into an object or array, up to the first value in it; over an empty one altogether.
func (s *scanner) value() *syntaxError {
	for {
		c := s.peek()
		if c != '{' && c != '[' {
			return s.scalar()
		}
		if len(s.open) == s.depth() {
			return s.wrong("Too deeply nested")
		}
		s.i++
		s.space()
		if s.peek() == c+2 { // its closing bracket
			s.i++
			return nil
		}
		s.open = append(s.open, c)
		if c == '{' {
			if err := s.name(); err != nil {
				return err
			}
		}
	}
}

// next steps from the end of a value to the next one; done if there is none.
func (s *scanner) next() (done bool, err *syntaxError) {
	for {
		s.space()
		if len(s.open) == 0 {
			if s.i < len(s.text) {
				return false, s.wrong("Extra data")
			}
			return true, nil
		}
		top := s.open[len(s.open)-1]
		switch s.peek() {
		case top + 2:
			s.i++
			s.open = s.open[:len(s.open)-1]
		case ',':
			s.i++
			s.space()
			if top == '{' {
				return false, s.name()
			}
			return false, nil
		default:
			return false, s.wrong("Expecting ',' delimiter")
		}
	}
}

// name steps over the name of a member and its colon.
func (s *scanner) name() *syntaxError {
	start, bare := s.i, s.bare && identifier(s.peek())
	if bare {
		for identifier(s.peek()) || '0' <= s.peek() && s.peek() <= '9' {
			s.i++
		}
		s.names = append(s.names, start, s.i)
	} else if s.peek() != '"' {
		return s.wrong(expectingName)
	} else if err := s.string(); err != nil {
		return err
	}
	length := s.i - start
	s.space()
	switch {
	case bare && (s.peek() != ':' || length > maxBareName):
		return &syntaxError{expectingName, start}
	case s.peek() != ':':
		return s.wrong("Expecting ':' delimiter")
	}
	s.i++
	s.space()
	return nil
}

const expectingName = "Expecting property name enclosed in double quotes"

// scalars begin like this. Of "01" or "1." that is the first part, as in Python: the rest is then out of place.
var scalars = regexp.MustCompile(`^(?:true|false|null|-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?)`)

func (s *scanner) scalar() *syntaxError {
	if s.peek() == '"' {
		return s.string()
	}
	at := scalars.FindIndex(s.text[s.i:])
	if at == nil {
		return s.wrong("Expecting value")
	}
	s.i += at[1]
	return nil
}

func (s *scanner) string() *syntaxError {
	start := s.i
	for s.i++; s.i < len(s.text); s.i++ {
		switch c := s.text[s.i]; {
		case c == '"':
			s.i++
			return nil
		case c < ' ':
			return s.wrong("Invalid control character at")
		case c == '\\':
			if s.i++; s.i == len(s.text) {
				continue
			}
			if err := s.escape(); err != nil {
				return err
			}
		}
	}
	return &syntaxError{"Unterminated string starting at", start}
}

// escape stands on what follows a backslash, and steps to its last character.
func (s *scanner) escape() *syntaxError {
	switch s.text[s.i] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return nil
	case 'u':
	default:
		return &syntaxError{`Invalid \escape`, s.i - 1}
	}
	if s.i+5 >= len(s.text) || !hexDigits(s.text[s.i+1:s.i+5]) {
		return s.wrong(`Invalid \uXXXX escape`)
	}
	s.i += 4
	return nil
}

func (s *scanner) space() {
	for s.i < len(s.text) {
		switch s.text[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}

// peek is the byte that comes next, 0 at the end; a NUL is in place nowhere.
func (s *scanner) peek() byte {
	if s.i < len(s.text) {
		return s.text[s.i]
	}
	return 0
}

func (s *scanner) depth() int {
	if s.bare {
		return maxBareDepth
	}
	return maxDepth
}

func (s *scanner) wrong(message string) *syntaxError { return &syntaxError{message, s.i} }

func identifier(c byte) bool { return c == '_' || c == '$' || 'a' <= c|0x20 && c|0x20 <= 'z' }

func hexDigits(text []byte) bool {
	_, err := strconv.ParseUint(string(text), 16, 16)
	return err == nil
}
