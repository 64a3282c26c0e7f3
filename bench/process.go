package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a server as a process of its own, so that its processor time can be told from ours.
type process struct {
	cmd     *exec.Cmd
	address string // HOST:PORT
	said    bytes.Buffer
}

var greeting = regexp.MustCompile(`http://(127\.0\.0\.1:[0-9]+)`)

// launch starts a server over a database and returns when it says where it listens. It ends with the context, or by stop.
func launch(ctx context.Context, url string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(ctx, args[0], args[1:]...)}
	p.cmd.Cancel = func() error { return p.cmd.Process.Signal(syscall.SIGTERM) }
	p.cmd.WaitDelay = 20 * time.Second
	p.cmd.Env = append(environment(), "DATABASE_URL="+url)
	p.cmd.Stderr = &p.said
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if m := greeting.FindStringSubmatch(lines.Text()); m != nil {
			p.address = m[1]
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return p, nil
		}
	}
	err = p.cmd.Wait()
	return nil, fmt.Errorf("%s did not start: %w\n%s", args[0], err, &p.said)
}

// environment is ours without settings that would make the server another one.
func environment() (kept []string) {
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "PG") && !strings.HasPrefix(v, "IMAGEREQUESTS_") {
			kept = append(kept, v)
		}
	}
	return kept
}

func (p *process) stop() error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("%w\n%s", err, &p.said)
	}
	return nil
}

// ticks is in how many parts of a second Linux tells of processor time.
const ticks = 100

// cpu is the processor time that a process has used, with that of its ended children if it has waited for them.
func cpu(pid int, ended bool) (time.Duration, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	// the name in parentheses may hold anything; the fields behind it are numbers, the state being number 3
	fields := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
	last := 15
	if ended {
		last = 17
	}
	sum := 0
	for i := 14; i <= last; i++ {
		n, err := strconv.Atoi(fields[i-3])
		if err != nil {
			return 0, err
		}
		sum += n
	}
	return time.Duration(sum) * time.Second / ticks, nil
}

// postgresCPU is the processor time of a postmaster and all its children, those that have ended too.
func postgresCPU(postmaster int) (time.Duration, error) {
	sum, err := cpu(postmaster, true)
	if err != nil {
		return 0, err
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%[1]d/task/%[1]d/children", postmaster))
	if err != nil {
		return 0, err
	}
	for _, child := range strings.Fields(string(text)) {
		pid, err := strconv.Atoi(child)
		if err != nil {
			return 0, err
		}
		if one, err := cpu(pid, false); err == nil { // else it has just ended, and is counted by the postmaster
			sum += one
		}
	}
	return sum, nil
}

// mostMemory is the most that has been resident of a process, in bytes.
func mostMemory(pid int) (int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	m := regexp.MustCompile(`VmHWM:\s+([0-9]+) kB`).FindSubmatch(text)
	if m == nil {
		return 0, errors.New("the system does not tell how much memory a process has")
	}
	n, err := strconv.Atoi(string(m[1]))
	return n << 10, err
}
