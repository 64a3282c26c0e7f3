package limits

import (
	"container/list"
	"context"
	"sync"

	"github.com/vektah/gqlparser/v2/ast"
)

// What is remembered: entries, and bytes of memory. Without the second, documents made to be large would fill the first
// with 60 MiB.
const (
	cachedDocuments = 256
	cachedBytes     = 16 << 20
	persistedTexts  = 1000
	persistedBytes  = 4 << 20
)

// cache remembers what was used last, in so many entries and so many bytes. It is safe for concurrent use.
type cache[V any] struct {
	entries, bytes int
	size           func(key string, value V) int

	mu    sync.Mutex
	used  list.List // of *entry[V], the last used in front
	known map[string]*list.Element
	held  int
}

type entry[V any] struct {
	key   string
	value V
	size  int
}

func newCache[V any](entries, bytes int, size func(string, V) int) *cache[V] {
	return &cache[V]{entries: entries, bytes: bytes, size: size, known: map[string]*list.Element{}}
}

// Get is what was added last under the key, if it is still remembered.
func (c *cache[V]) Get(_ context.Context, key string) (value V, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	e, ok := c.known[key]
	if !ok {
		return value, false
	}
	c.used.MoveToFront(e)
	return e.Value.(*entry[V]).value, true
}

// Add remembers a value, and forgets for it those that have not been used for longest.
func (c *cache[V]) Add(_ context.Context, key string, value V) {
	added := &entry[V]{key, value, c.size(key, value)}
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.known[key]; ok {
		c.forget(known)
	}
	c.known[key] = c.used.PushFront(added)
	c.held += added.size
	for c.used.Len() > c.entries || c.held > c.bytes {
		c.forget(c.used.Back())
	}
}

func (c *cache[V]) forget(e *list.Element) {
	forgotten := c.used.Remove(e).(*entry[V])
	delete(c.known, forgotten.key)
	c.held -= forgotten.size
}

func textSize(key, text string) int { return len(key) + len(text) }

// footprint is about what a parsed document holds in memory: its text, and at most so many bytes for each token.
func footprint(text string, _ *ast.QueryDocument) int {
	const token = 256
	tokens, _ := scan(text) // it has passed
	return len(text) + token*tokens
}
