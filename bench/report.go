package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// report is what was measured, as Markdown.
func (b *bench) report() string {
	var out strings.Builder
	fmt.Fprintf(&out, "On %s, %s, commit %s; medians of %d rounds of %v.\n\n", machine(), b.versions(), commit(), b.rounds, b.round)
	out.WriteString("| promise | is | target | |\n| --- | --- | --- | --- |\n")
	for _, f := range b.figures() {
		word, verdict, digits := "at most", "met", 2
		if f.atLeast {
			word = "at least"
		}
		if !f.met() {
			verdict = "**not met**"
		}
		if f.unit != "×" {
			digits = 0
		}
		fmt.Fprintf(&out, "| %s | %.*f%s | %s %g | %s |\n", f.name, digits, f.value, f.unit, word, f.target, verdict)
	}
	for _, s := range b.stages {
		fmt.Fprintf(&out, "\n%s image requests, %s of them for everybody:\n\n", thousands(s.size), thousands(s.visible))
		b.table(&out, s)
	}
	return out.String()
}

// table has a line for each piece of work and way. Processor time is with as many clients as it is compared with.
func (b *bench) table(out *strings.Builder, s *stage) {
	out.WriteString("| work | through | CPU server | CPU Postgres |")
	rule := "| --- | --- | ---: | ---: |"
	for _, n := range b.clients {
		fmt.Fprintf(out, " %d: answers/s | p50 | p99 |", n)
		rule += " ---: | ---: | ---: |"
	}
	out.WriteString("\n" + rule + "\n")
	for _, w := range s.all {
		for _, way := range ways {
			at := func(clients int) cell { return cell{s.size, w.name, way, clients} }
			measured := slices.DeleteFunc(slices.Clone(b.clients), func(n int) bool { return b.samples[at(n)] == nil })
			if len(measured) == 0 {
				continue
			}
			costly := measured[len(measured)-1]
			if slices.Contains(measured, crowd) {
				costly = crowd
			}
			fmt.Fprintf(out, "| %s | %s |", w.name, way)
			if own, _ := b.median(at(costly), server); way == alone {
				out.WriteString(" |")
			} else {
				fmt.Fprintf(out, " %s |", duration(own))
			}
			postgres, _ := b.median(at(costly), func(s sample) float64 { return s.Postgres })
			fmt.Fprintf(out, " %s |", duration(postgres))
			for _, n := range b.clients {
				rate, ok := b.median(at(n), throughput)
				if !ok {
					out.WriteString(" | | |")
					continue
				}
				p50, _ := b.median(at(n), latency)
				p99, _ := b.median(at(n), func(s sample) float64 { return s.P99 })
				fmt.Fprintf(out, " %.0f | %s | %s |", rate, duration(p50), duration(p99))
			}
			out.WriteString("\n")
		}
	}
}

func duration(seconds float64) string {
	switch ms := seconds * 1000; {
	case ms == 0:
		return ""
	case ms < 10:
		return fmt.Sprintf("%.2f ms", ms)
	default:
		return fmt.Sprintf("%.0f ms", ms)
	}
}

func thousands(n int) string {
	if n < 1000 {
		return fmt.Sprint(n)
	}
	return thousands(n/1000) + fmt.Sprintf(",%03d", n%1000)
}

func machine() string {
	name := "an unknown processor"
	if text, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if m := regexp.MustCompile(`model name\s*: (.*)`).FindSubmatch(text); m != nil {
			name = string(m[1])
		}
	}
	return fmt.Sprintf("%d × %s", runtime.NumCPU(), name)
}

func (b *bench) versions() string {
	out, _ := exec.Command(b.cluster.programs+"/postgres", "--version").Output()
	return strings.TrimSpace(string(out)) + ", " + runtime.Version()
}

func commit() string {
	out, err := exec.Command("git", "describe", "--always", "--dirty").Output()
	if err != nil {
		return "unknown"
	}
	return string(bytes.TrimSpace(out))
}

// Marks in a document between which the figures stand.
const (
	begin = "<!-- figures: written by go run ./bench -->"
	end   = "<!-- end of figures -->"
)

func writeInto(file, report string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	before, rest, ok := strings.Cut(string(text), begin)
	_, after, too := strings.Cut(rest, end)
	if !ok || !too {
		return errors.New(file + " has no marks for the figures")
	}
	return os.WriteFile(file, []byte(before+begin+"\n\n"+report+"\n"+end+after), 0o644) //nolint:gosec // it is for everybody
}
