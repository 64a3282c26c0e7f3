package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// TestFuzzScript has scripts/fuzz.sh run a stand-in for go, which answers with one text after the other.
func TestFuzzScript(t *testing.T) {
	t.Parallel()
	const (
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
		answers []string // the runs that may be, in their order
		runs    int
		passes  bool
		says    string
	}{
		{"passes", []string{good, deadline}, 1, true, "fuzz ./it FuzzIt: 17591 executions, no crash\n"},
		{"Go's own deadline, then passes", []string{deadline, good}, 2, true, "fuzz ./it FuzzIt: 17591 executions, no crash\n"},
		{"Go's own deadline, then a crash", []string{deadline, own}, 2, false, "FAILED\n" + own},
		{"Go's own deadline, twice", []string{deadline, deadline, good}, 2, false, "FAILED\n" + deadline},
		{"a crash", []string{own, good}, 1, false, "FAILED\n" + own},
		{"a seed fails", []string{seed, good}, 1, false, "FAILED\n" + seed},
		{"another target", []string{other, good}, 1, false, "FAILED\n" + other},
		{"does not compile", []string{"FAIL\t./it [build failed]\n", good}, 1, false, "[build failed]"},
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
			runs, err := os.ReadFile(filepath.Join(dir, "runs"))
			if n := strings.Count(string(runs), "-fuzz ^FuzzIt$ -fuzztime 10s"); err != nil || n != c.runs {
				t.Errorf("go ran the target %d times, not %d (%v):\n%s", n, c.runs, err, runs)
			}
		})
	}
}
