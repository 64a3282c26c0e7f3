package limits

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

func TestCache(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	c := newCache(3, 100, func(_ string, size int) int { return size })
	holds := func(want string) {
		t.Helper()
		var got []string
		for e := c.used.Front(); e != nil; e = e.Next() {
			got = append(got, e.Value.(*entry[int]).key)
		}
		if s := strings.Join(got, ""); s != want || len(c.known) != len(want) {
			t.Errorf("holds %q, want %q", s, want)
		}
		sum := 0
		for _, e := range c.known {
			sum += e.Value.(*entry[int]).size
		}
		if sum != c.held || sum > 100 {
			t.Errorf("holds %d bytes and counts %d", sum, c.held)
		}
	}
	for i, key := range []string{"a", "b", "c"} {
		c.Add(ctx, key, 10+i)
	}
	holds("cba")
	if v, ok := c.Get(ctx, "a"); !ok || v != 10 {
		t.Errorf("%d, %v", v, ok)
	}
	holds("acb")
	c.Add(ctx, "d", 10) // an entry too many
	holds("dac")
	c.Add(ctx, "a", 50) // again
	holds("adc")
	c.Add(ctx, "e", 45) // bytes too many
	holds("ea")
	c.Add(ctx, "f", 101) // no room for it at all
	holds("")
	if _, ok := c.Get(ctx, "a"); ok {
		t.Error("what was forgotten is known")
	}
}

func TestCacheAtOnce(t *testing.T) {
	t.Parallel()
	c := newCache(10, 1000, textSize)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			for j := range 500 {
				key := fmt.Sprint((i * j) % 30)
				c.Add(context.Background(), key, key)
				if v, ok := c.Get(context.Background(), key); ok && v != key {
					t.Errorf("%q is %q", key, v)
				}
			}
		})
	}
	wg.Wait()
	if c.used.Len() > 10 || len(c.known) != c.used.Len() {
		t.Errorf("%d entries, %d known", c.used.Len(), len(c.known))
	}
}

// TestFootprint: a parsed document is not larger than it is taken to be, whatever it is made of. Without the bound in bytes,
// such documents would fill the entries with 60 MiB.
func TestFootprint(t *testing.T) {
	schema := gqlparser.MustLoadSchema(&ast.Source{Input: "type Query { a(b: [Int!], c: In): Query s: Int } input In { i: Int n: In }"})
	g := New(schema, Options{Introspection: true})
	repeat := func(s string, n int) string { return strings.Repeat(s, n) }
	most := 0
	for name, text := range map[string]string{
		"fields":     "{" + repeat("a{"+repeat("s ", 19)+"}", 17) + repeat("b:a{"+repeat("s ", 19)+"}", 20) + "}",
		"arguments":  "{" + repeat("a(b:1){s}", 20) + repeat("b:a(b:1){a(b:1){s}}", 20) + "}",
		"values":     "{ a(b: [" + repeat("1 ", 980) + "]) { s } }",
		"objects":    "{ a(c: " + repeat("{n:", 25) + "{i:1}" + repeat("}", 25) + ") { s } }",
		"directives": "{" + repeat("a@skip(if:true){s}", 20) + "}",
		"fragments": "{...F0}" + func() (s string) {
			for i := range 50 {
				s += fmt.Sprintf("fragment F%d on Query{...F%d s s s s s s s}", i, i+1)
			}
			return strings.Replace(s, "...F50", "s", 1)
		}(),
		"variables": "query($v: Int!) { a(b: [" + repeat("$v ", 480) + "]) { s } }",
		"comments":  "{ s " + repeat("#\n", 990) + "}",
		"text":      "{ s } #" + repeat("x", 32_000),
		"names":     "{" + repeat("a{"+repeat("s ", 10)+"}", 20) + "}",
	} {
		const copies = 8
		kept := make([]*ast.QueryDocument, copies)
		texts := make([]string, copies)
		for i := range texts {
			texts[i] = fmt.Sprintf("%s #%d", text, i)
		}
		before := heap()
		for i := range kept {
			document, err := g.read(strings.Clone(texts[i]))
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			kept[i] = document
		}
		each := (heap() - before) / copies
		runtime.KeepAlive(kept)
		if taken := footprint(texts[0], kept[0]); each > taken*11/10 {
			t.Errorf("%s: %d bytes, taken to be %d", name, each, taken)
		}
		most = max(most, each)
	}
	t.Logf("%d of the largest hold %d MiB", cachedDocuments, most*cachedDocuments>>20)
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
