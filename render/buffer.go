package render

import "sync"

// Buffers are used again and again: an answer of a hundred rows is larger than what a garbage collector makes room for in passing.
// Smaller ones are not worth keeping, larger ones are seldom needed again.
const least, most = 4 << 10, 1 << 20

var buffers sync.Pool // of *[]byte

// Buffer is an empty buffer.
func Buffer() []byte {
	if b, ok := buffers.Get().(*[]byte); ok {
		return *b
	}
	return make([]byte, 0, least)
}

// Free gives a buffer back that nobody reads any more, wherever it came from.
func Free(b []byte) {
	if cap(b) >= least && cap(b) <= most {
		kept := b[:0]
		buffers.Put(&kept)
	}
}
