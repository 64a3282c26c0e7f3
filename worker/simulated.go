package worker

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Simulated is an Imager that makes nothing: for demonstrations. It goes through the stages of a real one, leaves out
// what a small pretended disk has of the job's paths, and names the image after the version, the same at each attempt.
type Simulated struct {
	Takes       time.Duration  // how long an image takes; 0: no time at all
	FailureRate float64        // how many of all runs fail, 0 to 1
	Rand        func() float64 // a number in [0, 1), safe for concurrent use; nil: any
}

// stages of a pretended run, each with where it ends.
var stages = []struct {
	name  string
	until int
}{{"snapshot", 20}, {"copy", 70}, {"exclude", 85}, {"register", 100}}

// step is how many percent a pretended run goes on at once.
const step = 5

// Image pretends. It fails as often as it is told to, somewhere on the way.
func (s Simulated) Image(ctx context.Context, job Job, report func(Report)) (Result, error) {
	random := s.Rand
	if random == nil {
		random = rand.Float64
	}
	fails := 101
	if random() < s.FailureRate {
		fails = int(random() * 100)
	}
	excluded := pretended.of(job.ExcludePaths)
	percent := 0
	for _, stage := range stages {
		for ; percent < stage.until; percent += step {
			r := Report{Stage: stage.name, Percent: new(percent)}
			if stage.name == "register" {
				r.Excluded = excluded
			}
			report(r)
			if percent+step > fails {
				return Result{}, s.failure(stage.name)
			}
			wait(ctx.Done(), s.Takes*step/100)
			if ctx.Err() != nil {
				return Result{}, context.Cause(ctx)
			}
		}
	}
	return Result{Alias: uuid.NewSHA1(job.Version, []byte("image")).String(), Excluded: excluded}, nil
}

func (Simulated) failure(stage string) *Failure {
	return &Failure{
		Code: "SIMULATED", Message: fmt.Sprintf("The pretended provider gave up at the stage %q.", stage),
		Detail: "the failure rate of the simulated imager is above 0", Retryable: true,
	}
}

// disk is the files of an instance.
type disk []string

// pretended is what each pretended instance has on its disk.
var pretended = disk{
	"/etc/fstab", "/etc/hosts", "/etc/passwd", "/etc/shadow", "/etc/ssh/sshd_config", "/etc/ssl/private/server.key",
	"/home/user/.aws/credentials", "/home/user/.bash_history", "/home/user/.ssh/authorized_keys", "/home/user/.ssh/id_ed25519",
	"/home/user/data/genome.fasta", "/home/user/notes.txt", "/mnt/volume/results.csv", "/opt/tool/bin/tool", "/root/.ssh/id_rsa",
	"/root/server.pem", "/srv/www/index.html", "/tmp/scratch", "/usr/bin/python3", "/var/log/auth.log", "/var/log/syslog",
}

// of are those of the paths and globs that mean something on the disk.
func (d disk) of(paths []string) []string {
	found := []string{}
	for _, p := range paths {
		if slices.ContainsFunc(d, func(file string) bool { return means(p, file) }) {
			found = append(found, p)
		}
	}
	return found
}

// means tells whether the path or glob is the file or a folder that it lies in. A glob without a slash in front holds in
// every folder.
func means(pattern, file string) bool {
	for at := file; at != "/"; at = path.Dir(at) {
		name := at
		if !strings.HasPrefix(pattern, "/") {
			name = path.Base(at)
		}
		if ok, err := path.Match(pattern, name); err == nil && ok || at == pattern {
			return true
		}
	}
	return false
}
