package worker

import (
	"bufio"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"imagerequests/imaging"
)

// What programs do to get away.
const (
	// a process without a parent, in a session of its own, that has nothing of its program but a descriptor
	daemon = "env -i setsid sh -c '(sleep 1000 &)' > /dev/null 2>&1 < /dev/null\n"
	// one that does not hear SIGTERM either, for certain
	deaf = `mkfifo "$HELD.deaf"
(env -i held="$HELD" setsid sh -c 'trap "" TERM; echo > "$held.deaf"; while sleep 1000; do :; done' > /dev/null 2>&1 < /dev/null &)
read heard < "$HELD.deaf"
`
	// hundreds of processes at a time that live for a moment, again and again
	storm = "f() { [ $1 = 0 ] || { f $(($1 - 1)) & f $(($1 - 1)) & wait; }; }; while [ -e \"$HELD\" ]; do f 7; done &\n"
	// one that is always another, in another session, and hears no SIGTERM; if nothing else, the end of the test ends it
	flight = `trap "" TERM; export next='[ -e "$HELD" ] && setsid sh -c "$next" &'; sh -c "$next"` + "\n"
)

// Whatever a program does, its version ends as FAILED with a clear message, and no process is left.
func TestCommandFails(t *testing.T) {
	t.Parallel()
	const named = `printf '{"alias":"ami-1"}\n';`
	cases := map[string]struct {
		script                string
		timeout               time.Duration
		code, message, detail string // message: all of it; detail: a part
	}{
		"hangs":            {script: "sleep 1000", timeout: time.Second, code: "IMAGER_TIMEOUT", message: "The imager took longer than 1s and was stopped."},
		"hangs in two":     {script: "sleep 1000 & sleep 1001", timeout: time.Second, code: "IMAGER_TIMEOUT", message: "The imager took longer than 1s and was stopped."},
		"ignores SIGTERM":  {script: "trap '' TERM; sleep 1000; sleep 1000", timeout: time.Second, code: "IMAGER_TIMEOUT", message: "The imager took longer than 1s and was stopped."},
		"is stopped":       {script: "kill -STOP $$", timeout: time.Second, code: "IMAGER_TIMEOUT", message: "The imager took longer than 1s and was stopped."},
		"garbage":          {script: "echo hello; sleep 1000", code: "IMAGER_OUTPUT", message: "The imager said something that cannot be understood.", detail: `line 1 of its standard output: invalid character 'h' looking for beginning of value: "hello"`},
		"all hear SIGTERM": {script: "trap exit TERM; (trap 'echo heard >&2; exit' TERM; sleep 1000 & echo hello; wait) & wait", code: "IMAGER_OUTPUT", message: "The imager said something that cannot be understood.", detail: "heard"},
		"garbage later":    {script: `echo; echo '{"stage":"a"}'; echo '["alias"]'; ` + named, code: "IMAGER_OUTPUT", message: "The imager said something that cannot be understood.", detail: "line 3"},
		"unknown key":      {script: `echo '{"progress":4}'; ` + named, code: "IMAGER_OUTPUT", message: "The imager said something that cannot be understood.", detail: "progress"},
		"says nothing":     {script: `echo '{}'; ` + named, code: "IMAGER_OUTPUT", message: "The imager said something that cannot be understood.", detail: "it says nothing"},
		"two values":       {script: `echo '{"stage":"a"} 1'; ` + named, code: "IMAGER_OUTPUT", message: "The imager said something that cannot be understood.", detail: "more than one value"},
		"not UTF-8":        {script: `printf '{"stage":"\377"}\n'; ` + named, code: "IMAGER_OUTPUT", message: "The imager said something that cannot be understood.", detail: "not UTF-8"},
		"1 GiB":            {script: "head -c 1G /dev/zero", code: "IMAGER_OUTPUT", message: "The imager printed a line of more than 64 KiB."},
		"a long line":      {script: `head -c 10M /dev/zero | tr '\0' x; echo; ` + named, code: "IMAGER_OUTPUT", message: "The imager printed a line of more than 64 KiB."},
		"yes":              {script: "yes", code: "IMAGER_OUTPUT", message: "The imager said something that cannot be understood."},
		"endless reports":  {script: `yes '{"stage":"` + strings.Repeat("copy", 10_000) + `"}'`, code: "IMAGER_OUTPUT", message: "The imager printed more than 16 MiB."},
		"exits 3":          {script: "echo no space >&2; exit 3", code: "IMAGER_EXIT", message: "The imager ended with exit status 3.", detail: "no space"},
		"is killed":        {script: "kill -9 $$", code: "IMAGER_EXIT", message: "The imager ended with signal: killed."},
		"named, exits 3":   {script: named + "exit 3", code: "IMAGER_EXIT", message: "The imager ended with exit status 3.", detail: `it had named the image "ami-1"`},
		"no output":        {script: "cat > /dev/null", code: "IMAGER_NO_RESULT", message: "The imager ended without naming an image."},
		"reads nothing":    {script: "exit 0", code: "IMAGER_NO_RESULT", message: "The imager ended without naming an image."},
		"forks":            {script: "sleep 1000 &", code: "IMAGER_NO_RESULT", message: "The imager ended without naming an image."},
		"forks, ignores":   {script: "(trap '' TERM; sleep 1000) & exit 3", code: "IMAGER_EXIT", message: "The imager ended with exit status 3."},
		"clears its env":   {script: "env -i sleep 1000 &", code: "IMAGER_NO_RESULT", message: "The imager ended without naming an image."},
		"leaves":           {script: "setsid sleep 1000 &", code: "IMAGER_NO_RESULT", message: "The imager ended without naming an image."},
		"leaves cleared":   {script: "cat > /dev/null; env -i setsid /bin/sleep 1000 > /dev/null 2>&1 < /dev/null & exit 3", code: "IMAGER_EXIT", message: "The imager ended with exit status 3."},
		"a daemon":         {script: daemon + "exit 3", code: "IMAGER_EXIT", message: "The imager ended with exit status 3."},
		"a deaf daemon":    {script: deaf + "exit 3", code: "IMAGER_EXIT", message: "The imager ended with exit status 3."},
		"hangs, a daemon":  {script: deaf + "sleep 1000", timeout: time.Second, code: "IMAGER_TIMEOUT", message: "The imager took longer than 1s and was stopped."},
		"a storm":          {script: storm + "exit 3", code: "IMAGER_EXIT", message: "The imager ended with exit status 3."},
		"hangs, a storm":   {script: storm + "sleep 1000", timeout: time.Second, code: "IMAGER_TIMEOUT", message: "The imager took longer than 1s and was stopped."},
		"flees":            {script: flight + "exit 3", code: "IMAGER_EXIT", message: "The imager ended with exit status 3."},
		"ends its group":   {script: "kill -9 0", code: "IMAGER_EXIT", message: "The imager ended with signal: killed."},
		"at its parent":    {script: daemon + "kill $PPID; kill -INT $PPID; kill -HUP $PPID; kill -SEGV $PPID; exit 3", code: "IMAGER_EXIT", message: "The imager ended with exit status 3."},
		"halts its parent": {script: daemon + "kill -STOP $PPID; sleep 1000", timeout: time.Second, code: "IMAGER_TIMEOUT", message: "The imager took longer than 1s and was stopped."},
		"kills its parent": {script: "kill -9 $PPID; exec sleep 1000", code: "IMAGER_EXIT", message: "The imager ended with its supervisor."},
		"becomes a ghost":  {script: "(setsid sh -c 'sleep 1000 & sleep 1000' > /dev/null 2>&1 < /dev/null &)", code: "IMAGER_NO_RESULT", message: "The imager ended without naming an image."},
		"huge stderr":      {script: `head -c 20M /dev/zero | tr '\0' '\351' >&2; printf 'the \000end' >&2; exit 1`, code: "IMAGER_EXIT", message: "The imager ended with exit status 1.", detail: "\uFFFDthe end"},
		"an error":         {script: `printf '{"error":{"code":"FULL","message":"No room.","detail":"d","retryable":true}}\n'; echo more >&2; exit 1`, code: "FULL", message: "No room.", detail: "d\nmore"},
		"an error, alone":  {script: `echo '{"error":{}}'`, code: "IMAGER_ERROR", message: "The imager failed without saying why."},
	}
	b := newBench(t)
	ids, held, commands := map[string]uuid.UUID{}, map[string]func() bool{}, map[string]Command{}
	for name, c := range cases {
		command, left := script(t, c.script)
		if c.timeout > 0 {
			command.Timeout = c.timeout
		}
		ids[name], held[name], commands[name] = b.approved(t, name), left, command
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
		if held[name]() {
			t.Errorf("%s: a process is left", name)
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
		"both":        "env -i setsid sleep 1000 > /dev/null 2>&1 < /dev/null &",
		"stopped":     "sleep 1000 & kill -STOP $!",
		"daemon":      daemon,
		"deaf":        deaf,
		"storm":       storm,
		"flight":      flight,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c, held := script(t, fork+"\n"+`echo '{"alias":"a"}'`)
			result, err := c.Image(t.Context(), job, func(Report) {})
			same(t, "a", result.Alias)
			same(t, nil, err)
			if held() {
				t.Error("a process is left")
			}
		})
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
	c, held := script(t, `job=$(cat)
case $job in *'"excludePaths":["/root/.ssh","*.pem","/nowhere"]'*) ;; *) echo "$job" >&2; exit 1 ;; esac
echo '{"stage":"copy","percent":41.7}'
read seen < `+seen+`
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
	same(t, false, held())
}

// When it is to stop, a program is ended with all it has begun; one that names its image on the way is heard.
func TestCommandStops(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ trap, alias string }{
		"at once": {"exit 7", ""},
		"done":    {`echo "{\"alias\":\"a\"}"; exit 0`, "a"},
	} {
		c2, held := script(t, `trap '`+c.trap+`' TERM; sleep 1000 & echo '{"stage":"ready"}'; wait`)
		ctx, stop := context.WithCancelCause(t.Context())
		result, err := c2.Image(ctx, job, func(Report) { stop(errLost) })
		same(t, c.alias, result.Alias)
		if (c.alias == "") != errors.Is(err, errLost) {
			t.Errorf("%s: %v", name, err)
		}
		same(t, false, held())
	}
}

// A program gets PATH and what the operator gave it; nothing else of the server's environment, and none of its files.
func TestCommandEnvironment(t *testing.T) {
	t.Parallel()
	if os.Getenv("HOME") == "" || os.Getenv("PATH") == "" {
		t.Fatal("this test needs HOME and PATH in its environment")
	}
	c, _ := script(t, "[ -e /proc/$$/fd/3 ] || [ -e /proc/$$/fd/4 ] || echo no files >&2; tr '\\0' '\\n' < /proc/$$/environ | sort >&2; exit 1")
	_, err := c.Image(t.Context(), job, func(Report) {})
	same(t, "no files\n"+c.Env[0]+"\nPATH="+os.Getenv("PATH"), failureOf(err).Detail)
}

// A program that is not there is a failure; where it was looked for is for staff alone.
func TestCommandIsNotThere(t *testing.T) {
	t.Parallel()
	_, err := Command{Program: "/nowhere/imager"}.Image(t.Context(), job, func(Report) {})
	same(t, &Failure{Code: "IMAGER_NOT_STARTED", Message: "The imager could not be started.", Detail: "fork/exec /nowhere/imager: no such file or directory", Retryable: true}, failureOf(err))
}

// One whose time is over before it could be started took too long.
func TestCommandIsTooLateToStart(t *testing.T) {
	t.Parallel()
	c, _ := script(t, "exit 3")
	c.Timeout = time.Nanosecond
	_, err := c.Image(t.Context(), job, func(Report) {})
	same(t, &Failure{Code: "IMAGER_TIMEOUT", Message: "The imager took longer than 1ns and was stopped.", Retryable: true}, failureOf(err))
}

// The end of one run is the end of its processes alone.
func TestCommandsApart(t *testing.T) {
	t.Parallel()
	c, held := script(t, `mkfifo "$HELD.enough"
daemon=$(env -i setsid sh -c 'sleep 1000 > /dev/null 2>&1 & echo $!')
echo '{"stage":"ready"}'
read enough < "$HELD.enough"
kill -0 $daemon && echo '{"alias":"a"}'`)
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() {
		_, err := c.Image(t.Context(), job, func(Report) { close(ready) })
		ended <- err
	}()
	receive(t, ready, "the first run has its daemon")
	var others sync.WaitGroup
	for range 4 {
		others.Go(func() {
			c, held := script(t, daemon+"exit 3")
			_, err := c.Image(t.Context(), job, func(Report) {})
			same(t, "The imager ended with exit status 3.", failureOf(err).Message)
			same(t, false, held())
		})
	}
	others.Wait()
	same(t, true, held())
	if err := os.WriteFile(strings.TrimPrefix(c.Env[0], "HELD=")+".enough", []byte("yes\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	same(t, nil, receive(t, ended, "the first run ends"))
	same(t, false, held())
}

// If the server is killed, nothing is left of its programs, even if its own file is no longer there.
func TestServerKilled(t *testing.T) {
	t.Parallel()
	c, held := script(t, "")
	server := exec.Command(filepath.Join(t.TempDir(), "server"))
	server.Env = append(os.Environ(), c.Env[0], serverEnv+"="+daemon+deaf+`echo '{"stage":"ready"}'; exec sleep 1000`)
	// by another process: what this one writes, its children hold for a moment, and then it cannot be run
	if err := exec.Command("cp", os.Args[0], server.Path).Run(); err != nil {
		t.Fatal(err)
	}
	begin, err := server.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	_ = os.Remove(server.Path)
	_ = begin.Close()
	said, _ := bufio.NewReader(out).ReadString('\n')
	same(t, "ready\n", said)
	same(t, true, held())
	_ = server.Process.Kill()
	_ = server.Wait()
	eventually(t, "all its processes are gone", func() bool { return !held() })
}
