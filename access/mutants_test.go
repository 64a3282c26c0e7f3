package access_test

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
)

var mutants = flag.String("access.mutants", "", "regular expression of the places whose mutants are tried; without it, a sample of two")

// TestMutants removes the rule of visibility from each place that asks it, one after the other, and sees that the cells of the
// matrix notice. It finds the places by itself: every call of the rule in db and imaging, in SQL and in Go. Without
// -access.mutants it takes a sample of them.
func TestMutants(t *testing.T) {
	t.Parallel()
	sites, overlay := mutate(t)
	if len(sites) < 20 {
		t.Fatalf("only %d places ask the rule: is it called otherwise by now?", len(sites))
	}
	binary := filepath.Join(t.TempDir(), "access.test")
	if out, err := command(t, "go", "test", "-c", "-overlay", overlay, "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("the mutants cannot be built: %v\n%s", err, out)
	}
	if *mutants == "" {
		sites = []string{sites[0], sites[len(sites)/2]}
	} else if tried, err := regexp.Compile(*mutants); err != nil {
		t.Fatal(err)
	} else if sites = slices.DeleteFunc(sites, func(site string) bool { return !tried.MatchString(site) }); len(sites) == 0 {
		t.Fatal("no place is called so")
	} else if noticed := try(t, binary, "none"); noticed != "" {
		t.Fatalf("without a mutant there is something to notice: %s", noticed)
	}
	missed := 0
	for _, site := range sites {
		noticed := try(t, binary, site)
		if noticed == "" {
			missed++
			t.Errorf("%s: the rule is not asked there, and no cell notices", site)
		}
		t.Logf("%s: %s", site, noticed)
	}
	t.Logf("%d of %d removed rules were noticed", len(sites)-missed, len(sites))
}

// try runs the matrix with the rule removed at the site, and tells which cell noticed; "" if none did.
func try(t *testing.T, binary, site string) string {
	t.Helper()
	const quick = "^TestReads|^TestWhole|Given|Hidden|Again"
	for _, which := range []string{"-test.run=" + quick, "-test.skip=Mutants|Interference|EveryOperation|" + quick} {
		run := command(t, binary, which, "-access.first")
		run.Env = append(os.Environ(), "ACCESS_MUTANT="+site)
		out, err := run.CombinedOutput()
		if err == nil {
			continue
		}
		for line := range strings.Lines(string(out)) {
			if wrong.MatchString(line) && !strings.HasSuffix(line, "so far\n") {
				return fmt.Sprintf("%.220s", strings.TrimSpace(line))
			}
		}
		t.Fatalf("%s: %v\n%s", site, err, out) // it did not come to its cells
	}
	return ""
}

// wrong is a line of the log of a test.
var wrong = regexp.MustCompile(`^ +\w+_test\.go:\d+: `)

func command(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	c := exec.CommandContext(context.WithoutCancel(t.Context()), name, args...)
	return c
}

// rules are how the rule is asked, by package: the functions, and what is put in the place of one of their calls. $n is the
// site, $0 the call, $1 what it is called with first, $f what is called, and $r the rest of what it is called with.
var rules = map[string]map[string]string{
	"db": {
		"visible":             `mutantOverlook($n, $1, func(q *bun.SelectQuery) *bun.SelectQuery { return $f(q$r) })`,
		"visibleTo":           `mutantOverlook($n, $1, func(q *bun.SelectQuery) *bun.SelectQuery { return $f(q$r) })`,
		"visibleOf":           `mutantOverlook($n, $1, func(q *bun.SelectQuery) *bun.SelectQuery { return $f(q$r) })`,
		"privateTo":           `mutantAll($n, $f($1$r))`,
		"imaging.Visible":     `$f(mutantAnyone($n, $1)$r)`,
		"imaging.SeesDetails": `$f(mutantAnyone($n, $1)$r)`,
		"imaging.Redact":      `$f(mutantAnyone($n, $1)$r)`,
		"imaging.Told":        `$f(mutantAnyone($n, $1)$r)`,
		"imaging.OutcomeFor":  `$f(mutantAnyone($n, $1)$r)`,
		".Staff":              `mutantEither($n, $0)`,
		".Show":               `$f(mutantAnyone($n, $1)$r)`,
	},
	"imaging": {
		"Visible": `$f(mutantAnyone($n, $1)$r)`, "SeesDetails": `$f(mutantAnyone($n, $1)$r)`, "Redact": `$f(mutantAnyone($n, $1)$r)`, "Told": `$f(mutantAnyone($n, $1)$r)`,
		".Staff": `mutantEither($n, $0)`,
	},
}

// notOfVisibility are files with calls of what else hangs on being staff.
var notOfVisibility = []string{"imaging/text.go"} // who gives the tag Featured

// helpers of the mutants, by package. A rule that is overlooked is still there, so that its values have their place.
var helpers = map[string]string{
	"db": `package db

import (
	"os"

	"github.com/uptrace/bun"

	"imagerequests/imaging"
)

func mutantOverlook(site string, q *bun.SelectQuery, rule func(*bun.SelectQuery) *bun.SelectQuery) *bun.SelectQuery {
	if os.Getenv("ACCESS_MUTANT") != site {
		return rule(q)
	}
	return q.WhereGroup(" AND ", func(q *bun.SelectQuery) *bun.SelectQuery { return rule(q).WhereOr("TRUE") })
}

func mutantAll(site string, theirs []rule) (all []rule) {
	for _, part := range theirs {
		all = append(all, func(q *bun.SelectQuery) *bun.SelectQuery { return mutantOverlook(site, q, part) })
	}
	return all
}

func mutantAnyone(site string, a imaging.Actor) imaging.Actor {
	if os.Getenv("ACCESS_MUTANT") == site {
		return imaging.Service()
	}
	return a
}

func mutantEither(site string, is bool) bool { return is || os.Getenv("ACCESS_MUTANT") == site }
`,
	"imaging": `package imaging

import "os"

func mutantAnyone(site string, a Actor) Actor {
	if os.Getenv("ACCESS_MUTANT") == site {
		return Service()
	}
	return a
}

func mutantEither(site string, is bool) bool { return is || os.Getenv("ACCESS_MUTANT") == site }
`,
}

// mutate writes both packages anew, with a switch at each place that asks the rule, and answers the places and a file for
// go's -overlay. The files in which the rule itself is said stay as they are.
func mutate(t *testing.T) (sites []string, overlay string) {
	t.Helper()
	dir, replace := t.TempDir(), map[string]string{}
	_, here, _, _ := runtime.Caller(0)
	top := filepath.Dir(filepath.Dir(here))
	for pkg, helper := range helpers {
		files, err := fs.Glob(os.DirFS(filepath.Join(top, pkg)), "*.go")
		if err != nil {
			t.Fatal(err)
		}
		put := func(name string, text []byte) {
			file := filepath.Join(dir, pkg+"_"+name)
			if err := os.WriteFile(file, text, 0o600); err != nil {
				t.Fatal(err)
			}
			replace[filepath.Join(top, pkg, name)] = file
		}
		put("mutant.go", []byte(helper))
		for _, name := range files {
			if strings.HasSuffix(name, "_test.go") || name == "visibility.go" || slices.Contains(notOfVisibility, pkg+"/"+name) {
				continue
			}
			text, err := os.ReadFile(filepath.Join(top, pkg, name))
			if err != nil {
				t.Fatal(err)
			}
			if name == "page.go" { // so that the lists of a small world are read in each of the ways that there are
				const usual, small = "reach{each: 200, few: 10_000}", "reach{each: 1, few: 3}"
				if !bytes.Contains(text, []byte(usual)) {
					t.Fatalf("%s has another reach than %s", name, usual)
				}
				text = bytes.Replace(text, []byte(usual), []byte(small), 1)
			}
			if mutated, found := switches(t, pkg, name, text); len(found) > 0 {
				text, sites = mutated, append(sites, found...)
				put(name, text)
			}
		}
	}
	slices.Sort(sites)
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	overlay = filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(overlay, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return sites, overlay
}

// switches puts one at each call of the rule in a file.
func switches(t *testing.T, pkg, name string, text []byte) (mutated []byte, sites []string) {
	t.Helper()
	positions := token.NewFileSet()
	file, err := parser.ParseFile(positions, name, text, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	var calls []*ast.CallExpr
	ast.Inspect(file, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && rules[pkg][calledRule(pkg, call)] != "" {
			calls = append(calls, call)
		}
		return true
	})
	slices.SortFunc(calls, func(a, b *ast.CallExpr) int { return -cmp.Compare(a.Pos(), b.Pos()) }) // from the end, so that places stay
	mutated = text
	for _, call := range calls {
		at := func(n token.Pos) int { return positions.Position(n).Offset }
		site := fmt.Sprintf("%s/%s:%d %s", pkg, name, positions.Position(call.Pos()).Line, calledRule(pkg, call))
		sites = append(sites, site)
		first, rest := "", ""
		if len(call.Args) > 0 {
			first = string(mutated[at(call.Args[0].Pos()):at(call.Args[0].End())])
			rest = string(mutated[at(call.Args[0].End()):at(call.Rparen)])
		}
		changed := strings.NewReplacer("$n", fmt.Sprintf("%q", site), "$0", string(mutated[at(call.Pos()):at(call.End())]), "$1", first,
			"$f", string(mutated[at(call.Fun.Pos()):at(call.Fun.End())]), "$r", rest).Replace(rules[pkg][calledRule(pkg, call)])
		mutated = slices.Concat(mutated[:at(call.Pos())], []byte(changed), mutated[at(call.End()):])
	}
	return bytes.Clone(mutated), sites
}

// calledRule is what a call calls, as rules names it.
func calledRule(pkg string, call *ast.CallExpr) string {
	switch f := call.Fun.(type) {
	case *ast.Ident:
		return f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok && rules[pkg][x.Name+"."+f.Sel.Name] != "" {
			return x.Name + "." + f.Sel.Name
		}
		return "." + f.Sel.Name
	}
	return ""
}
