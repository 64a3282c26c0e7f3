package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "imagerequests/"

// source is one Go file of ours.
type source struct {
	name    string // slash-separated, from the top
	file    *ast.File
	imports []string
}

func (s source) dir() string { return path.Dir(s.name) }
func (s source) test() bool  { return strings.HasSuffix(s.name, "_test.go") }
func (s source) within(dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(dir string) bool { return s.dir() == dir || strings.HasPrefix(s.dir(), dir+"/") })
}

func sources(t *testing.T) (all []source, positions *token.FileSet) {
	t.Helper()
	positions = token.NewFileSet()
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && (entry.Name() == "node_modules" || entry.Name() == "data" || name != "." && strings.HasPrefix(entry.Name(), ".")) {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		file, err := parser.ParseFile(positions, name, nil, parser.SkipObjectResolution|parser.ParseComments)
		if err != nil {
			return err
		}
		s := source{name: filepath.ToSlash(name), file: file}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, imported)
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 20 {
		t.Fatalf("only %d files found: is this the top of the project?", len(all))
	}
	return all, positions
}

// may says which packages of ours each package may import, beside itself. What is not listed may import none.
var may = map[string][]string{
	".":               {"auth", "db", "db/archive", "db/embedded", "db/safedriver", "graph", "graph/limits", "graph/transport", "imaging", "rest", "telemetry", "web", "worker"},
	"auth":            {"db", "imaging"},
	"bench":           {"db", "db/embedded", "imaging"},
	"db":              {"db/archive", "db/safedriver", "imaging"},
	"db/dbtest":       {"db", "db/embedded", "db/safedriver", "imaging"},
	"db/embedded":     {"db/safedriver"},
	"graph":           {"auth", "db", "graph/generated", "graph/limits", "graph/plan", "graph/transport", "imaging"},
	"graph/generated": {"db", "graph/scalar", "imaging"},
	"graph/limits":    {"imaging"},
	"graph/plan":      {"db", "graph/scalar", "imaging", "render"},
	"graph/scalar":    {"render"},
	"graph/transport": {"imaging", "render"},
	"rest":            {"auth", "db", "imaging", "render"},
	"worker":          {"db", "imaging"},
}

// only says in which folders alone a package from outside is known.
var only = map[string][]string{
	"github.com/uptrace/bun":                 {"db"},
	"github.com/uptrace/bun/driver/pgdriver": {"db/safedriver"},
	"github.com/99designs/gqlgen":            {"graph"},
	"github.com/coder/websocket":             {"graph/transport", ".", "chaos", "access"}, // all but the first only in their tests
	"github.com/vektah/gqlparser/v2":         {"graph", "web"},                            // web only in its test
	"github.com/alecthomas/kong":             {"."},
	"golang.org/x/time":                      {"auth"},
	"golang.org/x/sys":                       {"db"},
	"github.com/getkin/kin-openapi":          {"rest"}, // only in its test
	"github.com/jackc/pgx":                   {"bench"},
}

func TestImports(t *testing.T) {
	t.Parallel()
	all, _ := sources(t)
	for _, s := range all {
		for _, imported := range s.imports {
			if ours, ok := strings.CutPrefix(imported, module); ok && !s.test() && !slices.Contains(may[s.dir()], ours) {
				t.Errorf("%s imports %s, which package %s may not", s.name, ours, s.dir())
			}
			if s.dir() == "imaging" && !s.test() && strings.Contains(imported, ".") && imported != "github.com/google/uuid" {
				t.Errorf("%s imports %s: the domain knows the standard library and uuid alone", s.name, imported)
			}
			for known, dirs := range only {
				matches := imported == known || strings.HasPrefix(imported, known+"/") && known != "github.com/uptrace/bun"
				if matches && !s.within(dirs...) && s.name != "tools.go" {
					t.Errorf("%s imports %s, which only %v may know", s.name, imported, dirs)
				}
			}
		}
	}
}

func TestResolversAreThin(t *testing.T) {
	t.Parallel()
	all, positions := sources(t)
	resolvers := 0
	for _, s := range all {
		if !strings.HasSuffix(s.name, ".resolvers.go") {
			continue
		}
		for _, declared := range s.file.Decls {
			f, ok := declared.(*ast.FuncDecl)
			if !ok || f.Body == nil {
				continue
			}
			resolvers++
			if n := statements(f.Body); n > 4 { // three, and the return within the one that asks for an error
				t.Errorf("%s: %s has %d statements: the rule has no home yet", positions.Position(f.Pos()), f.Name.Name, n)
			}
		}
	}
	if resolvers < 10 {
		t.Errorf("only %d resolvers found", resolvers)
	}
}

func statements(body *ast.BlockStmt) (n int) {
	ast.Inspect(body, func(node ast.Node) bool {
		if _, ok := node.(*ast.BlockStmt); ok {
			return true
		}
		if _, ok := node.(ast.Stmt); ok {
			n++
		}
		return true
	})
	return n
}

// calls are what may not be called, and where it may all the same.
var calls = []struct {
	pkg, name string
	in        func(source) bool
}{
	{"time", "Sleep", func(source) bool { return false }},
	{"os", "Exit", func(s source) bool {
		return s.name == "server.go" || s.name == "bench/main.go" || s.test() || s.within("conformance")
	}},
	{"log", "Fatal", source.test},
	{"", "panic", func(s source) bool { return s.name == "server.go" || s.test() }},
}

func TestForbiddenCalls(t *testing.T) {
	t.Parallel()
	all, positions := sources(t)
	for _, s := range all {
		if s.within("graph/generated") {
			continue
		}
		ast.Inspect(s.file, func(node ast.Node) bool {
			call, ok := node.(*ast.CallExpr)
			if !ok {
				return true
			}
			pkg, name := called(call.Fun)
			for _, c := range calls {
				if pkg == c.pkg && name == c.name && !c.in(s) {
					t.Errorf("%s: %s.%s is not for this place", positions.Position(call.Pos()), pkg, name)
				}
			}
			return true
		})
	}
}

func called(f ast.Expr) (pkg, name string) {
	switch f := f.(type) {
	case *ast.Ident:
		return "", f.Name
	case *ast.SelectorExpr:
		if x, ok := f.X.(*ast.Ident); ok {
			return x.Name, f.Sel.Name
		}
	}
	return "", ""
}

func TestGeneratedCodeStandsInOneFolder(t *testing.T) {
	t.Parallel()
	all, _ := sources(t)
	found := false
	for _, s := range all {
		generated := ast.IsGenerated(s.file)
		found = found || generated
		if generated != s.within("graph/generated") {
			t.Errorf("%s: generated code stands in graph/generated, and only there", s.name)
		}
	}
	if !found {
		t.Error("no generated code found")
	}
}
