package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestFuzzScript has scripts/fuzz.sh run a stand-in for go, which answers with one text after the other.
func TestFuzzScript(t *testing.T) {
	t.Parallel()
	const (
		counted  = "fuzz: elapsed: 3s, execs: 2000 (700/sec), new interesting: 0 (total: 67)\nPASS\n"
		none     = "fuzz: elapsed: 0s, gathering baseline coverage: 0/240 completed\nfuzz: elapsed: 10s, gathering baseline coverage: 199/240 completed\nPASS\n"
		good     = "fuzz: elapsed: 10s, execs: 17591 (2277/sec), new interesting: 0 (total: 67)\nPASS\n"
		deadline = "fuzz: elapsed: 10s, execs: 5 (1/sec), new interesting: 0 (total: 67)\n--- FAIL: FuzzIt (10.05s)\n    context deadline exceeded\nFAIL\n"
		own      = "--- FAIL: FuzzIt (1.00s)\n    --- FAIL: FuzzIt (0.00s)\n        it_test.go:9: context deadline exceeded\n    \n    Failing input written to testdata/fuzz/FuzzIt/1\nFAIL\n"
		seed     = "--- FAIL: FuzzIt (1.00s)\n    it_test.go:9: context deadline exceeded\nFAIL\n"
		other    = "--- FAIL: FuzzItToo (10.05s)\n    context deadline exceeded\nFAIL\n"
	)
	standIn, err := filepath.Abs("testdata/standin")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		answers []string // of go, one for each run
		runs    []string // how long each is
		passes  bool
		says    string
	}{
		{"passes", []string{good}, []string{"10s"}, true, "fuzz ./it FuzzIt: 17591 executions, no crash\n"},
		{"Go's own deadline, then passes", []string{deadline, counted}, []string{"10s", "2000x"}, true, "fuzz ./it FuzzIt: 2000 executions, no crash\n"},
		{"Go's own deadline, then a crash", []string{deadline, own}, []string{"10s", "2000x"}, false, "FAILED\n" + own},
		{"Go's own deadline, twice", []string{deadline, deadline}, []string{"10s", "2000x"}, false, "FAILED\n" + deadline},
		{"no execution, then passes", []string{none, counted}, []string{"10s", "2000x"}, true, "fuzz ./it FuzzIt: 2000 executions, no crash\n"},
		{"no execution, then a crash", []string{none, own}, []string{"10s", "2000x"}, false, "FAILED\n" + own},
		{"a crash", []string{own}, []string{"10s"}, false, "FAILED\n" + own},
		{"a seed fails", []string{seed}, []string{"10s"}, false, "FAILED\n" + seed},
		{"another target", []string{other}, []string{"10s"}, false, "FAILED\n" + other},
		{"does not compile", []string{"FAIL\t./it [build failed]\n"}, []string{"10s"}, false, "[build failed]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for i, a := range c.answers {
				if err := os.WriteFile(filepath.Join(dir, strconv.Itoa(i+1)), []byte(a), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			cmd := exec.Command("scripts/fuzz.sh", "10s", "./it", "FuzzIt")
			cmd.Env = append(os.Environ(), "PATH="+standIn+":"+os.Getenv("PATH"), "ANSWERS="+dir)
			said, err := cmd.Output()
			if passes := err == nil; passes != c.passes || !strings.Contains(string(said), c.says) {
				t.Errorf("passes: %v, not %v; it says:\n%s\nand not:\n%s", passes, c.passes, said, c.says)
			}
			called, err := os.ReadFile(filepath.Join(dir, "runs"))
			if err != nil {
				t.Fatal(err)
			}
			var runs []string
			for call := range strings.Lines(string(called)) {
				_, rest, _ := strings.Cut(call, "-fuzz ^FuzzIt$ -fuzztime ")
				long, _, _ := strings.Cut(rest, " ")
				runs = append(runs, long)
			}
			if diff := cmp.Diff(c.runs, runs); diff != "" {
				t.Errorf("runs of the target (-want +got):\n%s%s", diff, called)
			}
		})
	}
}
