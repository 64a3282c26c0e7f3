package worker

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// bearers are the processes that run and have the mark in their environment.
func bearers(t *testing.T, mark string) (pids []int) {
	t.Helper()
	folders, err := filepath.Glob("/proc/[0-9]*")
	if err != nil || len(folders) == 0 {
		t.Fatal("no processes", err)
	}
	for _, folder := range folders {
		environment, _ := os.ReadFile(folder + "/environ")
		if pid, err := strconv.Atoi(filepath.Base(folder)); err == nil && bytes.Contains(environment, []byte(mark)) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// runs tells whether the process runs; one that has ended and was not waited for does not.
func runs(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !bytes.Contains(stat[bytes.LastIndexByte(stat, ')'):], []byte(") Z "))
}

// Whatever a program does, its version ends as FAILED with a clear message, and no process is left.
func TestCommandFails(t *testing.T) {
	t.Parallel()
	const named = `printf '{"alias":"ami-1"}\n';`
	cases := map[string]struct {
		script                string
		timeout               time.Duration
		code, message, detail string // message: all of it; detail: a part
	}{
		"hangs":           {script: "sleep 1000", timeout: time.Second, code: "IMAGER_TIMEOUT", message: "The imager took longer than 1s and was stopped."},
		"hangs in two":    {script: "sleep 1000 & sleep 1001", timeout: time.Second, code: "IMAGER_TIMEOUT", message: "The imager took longer than 1s and was stopped."},
		"ignores SIGTERM": {script: "trap '' TERM; sleep 1000; sleep 1000", timeout: time.Second, code: "IMAGER_TIMEOUT", message: "The imager took longer than 1s and was stopped."},
		"is stopped":      {script: "kill -STOP $$", timeout: time.Second, code: "IMAGER_TIMEOUT", message: "The imager took longer than 1s and was stopped."},
		"garbage":         {script: "echo hello; sleep 1000", code: "IMAGER_OUTPUT", message: "The imager said something that cannot be understood.", detail: `line 1 of its standard output: invalid character 'h' looking for beginning of value: "hello"`},
		"garbage later":   {script: `echo; echo '{"stage":"a"}'; echo '["alias"]'; ` + named, code: "IMAGER_OUTPUT", message: "The imager said something that cannot be understood.", detail: "line 3"},
		"unknown key":     {script: `echo '{"progress":4}'; ` + named, code: "IMAGER_OUTPUT", message: "The imager said something that cannot be understood.", detail: "progress"},
		"says nothing":    {script: `echo '{}'; ` + named, code: "IMAGER_OUTPUT", message: "The imager said something that cannot be understood.", detail: "it says nothing"},
		"two values":      {script: `echo '{"stage":"a"} 1'; ` + named, code: "IMAGER_OUTPUT", message: "The imager said something that cannot be understood.", detail: "more than one value"},
		"not UTF-8":       {script: `printf '{"stage":"\377"}\n'; ` + named, code: "IMAGER_OUTPUT", message: "The imager said something that cannot be understood.", detail: "not UTF-8"},
		"1 GiB":           {script: "head -c 1G /dev/zero", code: "IMAGER_OUTPUT", message: "The imager printed a line of more than 64 KiB."},
		"a long line":     {script: `head -c 10M /dev/zero | tr '\0' x; echo; ` + named, code: "IMAGER_OUTPUT", message: "The imager printed a line of more than 64 KiB."},
		"yes":             {script: "yes", code: "IMAGER_OUTPUT", message: "The imager said something that cannot be understood."},
		"endless reports": {script: `yes '{"stage":"` + strings.Repeat("copy", 10_000) + `"}'`, code: "IMAGER_OUTPUT", message: "The imager printed more than 16 MiB."},
		"exits 3":         {script: "echo no space >&2; exit 3", code: "IMAGER_EXIT", message: "The imager ended with exit status 3.", detail: "no space"},
		"is killed":       {script: "kill -9 $$", code: "IMAGER_EXIT", message: "The imager ended with signal: killed."},
		"named, exits 3":  {script: named + "exit 3", code: "IMAGER_EXIT", message: "The imager ended with exit status 3.", detail: `it had named the image "ami-1"`},
		"no output":       {script: "cat > /dev/null", code: "IMAGER_NO_RESULT", message: "The imager ended without naming an image."},
		"reads nothing":   {script: "exit 0", code: "IMAGER_NO_RESULT", message: "The imager ended without naming an image."},
		"forks":           {script: "sleep 1000 &", code: "IMAGER_NO_RESULT", message: "The imager ended without naming an image."},
		"forks, ignores":  {script: "(trap '' TERM; sleep 1000) & exit 3", code: "IMAGER_EXIT", message: "The imager ended with exit status 3."},
		"clears its env":  {script: "env -i WORKER_TEST= sleep 1000 &", code: "IMAGER_NO_RESULT", message: "The imager ended without naming an image."},
		"leaves":          {script: "setsid sleep 1000 &", code: "IMAGER_NO_RESULT", message: "The imager ended without naming an image."},
		"becomes a ghost": {script: "(setsid sh -c 'sleep 1000 & sleep 1000' > /dev/null 2>&1 < /dev/null &)", code: "IMAGER_NO_RESULT", message: "The imager ended without naming an image."},
		"huge stderr":     {script: `head -c 20M /dev/zero | tr '\0' '\351' >&2; printf 'the \000end' >&2; exit 1`, code: "IMAGER_EXIT", message: "The imager ended with exit status 1.", detail: "\uFFFDthe end"},
		"an error":        {script: `printf '{"error":{"code":"FULL","message":"No room.","detail":"d","retryable":true}}\n'; echo more >&2; exit 1`, code: "FULL", message: "No room.", detail: "d\nmore"},
		"an error, alone": {script: `echo '{"error":{}}'`, code: "IMAGER_ERROR", message: "The imager failed without saying why."},
	}
	b := newBench(t)
	ids, marks, commands := map[string]uuid.UUID{}, map[string]string{}, map[string]Command{}
	for name, c := range cases {
		command, mark := script(c.script)
		if c.timeout > 0 {
			command.Timeout = c.timeout
		}
		ids[name], marks[name], commands[name] = b.approved(t, name), mark, command
	}
	b.start(t, imagerFunc(func(ctx context.Context, job Job, report func(Report)) (Result, error) {
		job.Exclude = strings.Repeat("#", 1<<20) // more than a pipe holds
		return commands[job.Name].Image(ctx, job, report)
	}), func(o *Options) { o.Parallel, o.LeaseSeconds = 6, 600 })
	for name, c := range cases {
		v := b.settled(t, ids[name])
		f := v.Failure()
		if v.Status != imaging.Failed || f == nil {
			t.Errorf("%s: %s %s", name, v.Status, v.Alias)
			continue
		}
		same(t, c.code, f.Code)
		same(t, c.message, f.Message)
		detail := ""
		if f.Detail != nil {
			detail = *f.Detail
		}
		if !strings.Contains(detail, c.detail) || utf8.RuneCountInString(detail) > maxErrors+200 {
			t.Errorf("%s: the detail is %.300q, want %q in it", name, detail, c.detail)
		}
		if left := bearers(t, marks[name]); len(left) > 0 {
			t.Errorf("%s: processes %d are left", name, left)
		}
	}
}

// What a program has forked is gone when Image returns, also when the program was content.
func TestCommandLeavesNothing(t *testing.T) {
	t.Parallel()
	for name, fork := range map[string]string{
		"child":       "sleep 1000 &",
		"cleared":     "env -i sleep 1000 &",
		"own session": "setsid sleep 1000 &",
		"stopped":     "sleep 1000 & kill -STOP $!",
	} {
		c, _ := script(fork + "\n" + `echo "{\"stage\":\"$!\"}"; echo '{"alias":"a"}'`)
		pid := 0
		result, err := c.Image(t.Context(), job, func(r Report) { pid, _ = strconv.Atoi(r.Stage) })
		same(t, "a", result.Alias)
		same(t, nil, err)
		if pid == 0 || runs(pid) {
			t.Errorf("%s: process %d runs", name, pid)
		}
	}
}

// A program gets the job, and the version shows what it says.
func TestCommandWorks(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	id := b.approved(t, "Ubuntu")
	seen := filepath.Join(t.TempDir(), "seen")
	if err := exec.Command("mkfifo", seen).Run(); err != nil {
		t.Fatal(err)
	}
	c, mark := script(`job=$(cat)
case $job in *'"excludePaths":["/root/.ssh","*.pem","/nowhere"]'*) ;; *) echo "$job" >&2; exit 1 ;; esac
echo '{"stage":"copy","percent":41.7}'
read seen < ` + seen + `
echo '{"alias":"ami-1","excluded":["*.pem"]}'
echo "that's all"`)
	b.start(t, c)
	eventually(t, "progress is seen", func() bool { return b.version(t, id).Stage != nil })
	same(t, 41, *b.version(t, id).Percent)
	if err := os.WriteFile(seen, []byte("yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	v := b.settled(t, id)
	same(t, (*imaging.Failure)(nil), v.Failure())
	same(t, "ami-1", v.Alias)
	same(t, []string{"*.pem"}, v.Excluded)
	same(t, 0, len(bearers(t, mark)))
}

// When it is to stop, a program is ended with all it has begun; one that names its image on the way is heard.
func TestCommandStops(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ trap, alias string }{
		"at once": {"exit 7", ""},
		"done":    {`echo "{\"alias\":\"a\"}"; exit 0`, "a"},
	} {
		c2, mark := script(`trap '` + c.trap + `' TERM; sleep 1000 & echo '{"stage":"ready"}'; wait`)
		ctx, stop := context.WithCancelCause(t.Context())
		result, err := c2.Image(ctx, job, func(Report) { stop(errLost) })
		same(t, c.alias, result.Alias)
		if (c.alias == "") != errors.Is(err, errLost) {
			t.Errorf("%s: %v", name, err)
		}
		same(t, 0, len(bearers(t, mark)))
	}
}

// A program gets PATH and what the operator gave it; nothing else of the server's environment.
func TestCommandEnvironment(t *testing.T) {
	t.Parallel()
	if os.Getenv("HOME") == "" || os.Getenv("PATH") == "" {
		t.Fatal("this test needs HOME and PATH in its environment")
	}
	c, mark := script("tr '\\0' '\\n' < /proc/$$/environ | sort >&2; exit 1")
	_, err := c.Image(t.Context(), job, func(Report) {})
	var names []string
	for text := range strings.Lines(failureOf(err).Detail) {
		name, _, _ := strings.Cut(strings.TrimSpace(text), "=")
		names = append(names, name)
	}
	same(t, []string{"IMAGEREQUESTS_RUN", "PATH", "WORKER_TEST"}, names)
	if !strings.Contains(failureOf(err).Detail, mark) {
		t.Errorf("what the operator gave did not arrive: %v", err)
	}
}

// A program that is not there is a failure; where it was looked for is for staff alone.
func TestCommandIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := Command{Program: "/nowhere/imager"}.Image(t.Context(), job, func(Report) {})
	same(t, &Failure{Code: "IMAGER_NOT_STARTED", Message: "The imager could not be started.", Detail: "fork/exec /nowhere/imager: no such file or directory", Retryable: true}, failureOf(err))
}

// If the server is killed, so is the program.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	server := exec.Command(os.Args[0])
	server.Env = append(os.Environ(), serverEnv+`=echo "{\"stage\":\"$$\"}"; exec sleep 1000`)
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	said, _ := bufio.NewReader(out).ReadString('\n')
	_ = server.Process.Kill()
	_ = server.Wait()
	pid, err := strconv.Atoi(strings.TrimSpace(said))
	if err != nil {
		t.Fatalf("the server says %q", said)
	}
	eventually(t, "the program is gone", func() bool { return !runs(pid) })
}
