package worker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
	"unicode/utf8"
)

// Limits of what a program may say.
const (
	maxLine   = 64 << 10
	maxOutput = 16 << 20 // none of it is kept
	maxErrors = 8 << 10  // of standard error; the end is kept
	maxQuote  = 200      // of a line that is not understood, in the failure's detail
)

// speech is what a program says on standard output.
type speech struct {
	report   func(Report)
	alias    string
	excluded []string
	failure  *Failure
}

// line is one line of it.
type line struct {
	Stage    string   `json:"stage"`
	Percent  *float64 `json:"percent"`
	Excluded []string `json:"excluded"`
	Alias    string   `json:"alias"`
	Error    *struct {
		Code      string `json:"code"`
		Message   string `json:"message"`
		Detail    string `json:"detail"`
		Retryable bool   `json:"retryable"`
	} `json:"error"`
}

// listen reads until the program has said how it ended, or says no more. The error is a Failure, for what cannot be
// understood.
func (s *speech) listen(from io.Reader) error {
	limited := &io.LimitedReader{R: from, N: maxOutput + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(make([]byte, 0, 4<<10), maxLine)
	for number := 1; s.alias == "" && s.failure == nil && lines.Scan(); number++ {
		if err := s.hear(lines.Bytes()); err != nil && limited.N > 0 {
			return outputFailure("The imager said something that cannot be understood.",
				fmt.Sprintf("line %d of its standard output: %v: %.*q", number, err, maxQuote, lines.Bytes()))
		}
	}
	switch {
	case errors.Is(lines.Err(), bufio.ErrTooLong):
		return outputFailure("The imager printed a line of more than 64 KiB.", "")
	case limited.N == 0:
		return outputFailure("The imager printed more than 16 MiB.", "")
	}
	return nil
}

func outputFailure(message, detail string) *Failure {
	return &Failure{Code: "IMAGER_OUTPUT", Message: message, Detail: detail}
}

func (s *speech) hear(text []byte) error {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil
	}
	if !utf8.Valid(text) {
		return errors.New("not UTF-8")
	}
	var l line
	in := json.NewDecoder(bytes.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(&l); err != nil {
		return err
	}
	if _, err := in.Token(); err != io.EOF { //nolint:errorlint // the decoder answers it as it is
		return errors.New("more than one value")
	}
	switch {
	case l.Error != nil:
		s.failure = &Failure{Code: l.Error.Code, Message: l.Error.Message, Detail: l.Error.Detail, Retryable: l.Error.Retryable}
	case strings.TrimSpace(l.Alias) != "":
		s.alias, s.excluded = l.Alias, l.Excluded
	case l.Stage == "" && l.Percent == nil && l.Excluded == nil:
		return errors.New("it says nothing")
	}
	r := Report{Stage: l.Stage, Excluded: l.Excluded}
	if l.Percent != nil {
		r.Percent = new(int(min(max(*l.Percent, 0), 100)))
	}
	if s.alias == "" && s.failure == nil {
		s.report(r)
	}
	return nil
}

// tail keeps the end of what is written to it.
type tail struct{ kept []byte }

// Write never fails.
func (t *tail) Write(b []byte) (int, error) {
	t.kept = append(t.kept, b[max(0, len(b)-maxErrors):]...)
	if over := len(t.kept) - maxErrors; over > 0 {
		t.kept = append(t.kept[:0], t.kept[over:]...)
	}
	return len(b), nil
}

// String is the end of it as text that can be stored.
func (t *tail) String() string { return clean(strings.TrimSpace(string(t.kept)), maxErrors) }

// pipes lead to a program's standard input, output and error, and to its supervisor. They are our own, not exec's, because
// those would wait for each process that holds them.
type pipes struct {
	in, out, err   *os.File
	orders, report *os.File
	theirs         []*os.File
}

func connect(cmd *exec.Cmd) (*pipes, error) {
	p := &pipes{}
	for _, ours := range []**os.File{&p.in, &p.out, &p.err, &p.orders, &p.report} {
		r, w, err := os.Pipe()
		if err != nil {
			p.closeTheirs()
			p.close()
			return nil, fmt.Errorf("open a pipe: %w", err)
		}
		if ours == &p.in || ours == &p.orders {
			r, w = w, r
		}
		*ours = r
		p.theirs = append(p.theirs, w)
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr, cmd.ExtraFiles = p.theirs[0], p.theirs[1], p.theirs[2], p.theirs[3:]
	return p, nil
}

func (p *pipes) closeTheirs() {
	for _, f := range p.theirs {
		_ = f.Close()
	}
}

func (p *pipes) close() {
	for _, f := range []*os.File{p.in, p.out, p.err, p.orders, p.report} {
		_ = f.Close() // a second time, or nil: an error that says nothing
	}
}

// expire ends reading and writing after so long.
func (p *pipes) expire(after time.Duration) {
	for _, f := range []*os.File{p.in, p.out, p.err} {
		_ = f.SetDeadline(time.Now().Add(after))
	}
}
