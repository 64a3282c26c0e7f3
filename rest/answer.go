package rest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// compressFrom is the size of a body, in bytes, from which compressing it is worth the while: a smaller one is sent in one packet as it is.
const compressFrom = 1024

// succeed writes a 200, or a 304 to who has the same already.
func (x *exchange) succeed(body []byte) {
	if x.r.Method != http.MethodGet && x.r.Method != http.MethodHead {
		x.write(http.StatusOK, typeJSON, body)
		return
	}
	sum := sha256.Sum256(body)
	tag := `"` + base64.RawURLEncoding.EncodeToString(sum[:16]) + `"`
	known := matches(x.r.Header.Values("If-None-Match"), tag)
	if len(body) >= compressFrom && x.gzipped() {
		tag = "W/" + tag // the same in meaning, not in bytes
	}
	x.w.Header().Set("ETag", tag)
	if known {
		x.vary(body)
		x.w.WriteHeader(http.StatusNotModified)
		return
	}
	x.write(http.StatusOK, typeJSON, body)
}

// matches compares weakly, as If-None-Match wants it.
func matches(header []string, tag string) bool {
	for known := range strings.SplitSeq(strings.Join(header, ","), ",") {
		if known = strings.TrimPrefix(strings.TrimSpace(known), "W/"); known == tag || known == "*" {
			return true
		}
	}
	return false
}

// write sends an answer; to HEAD, its headers.
func (x *exchange) write(status int, contentType string, body []byte) {
	h := x.w.Header()
	if x.vary(body) && x.gzipped() {
		body = compress(body)
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", contentType)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(status)
	if x.r.Method != http.MethodHead {
		_, _ = x.w.Write(body) // the caller is gone: there is nobody left to tell
	}
}

// vary notes that the answer depends on Accept-Encoding, if it is of a size to be compressed.
func (x *exchange) vary(body []byte) bool {
	if len(body) < compressFrom {
		return false
	}
	h := x.w.Header()
	h.Set("Vary", h.Get("Vary")+", Accept-Encoding")
	return true
}

// The quickest leaves a quarter of a list. What leaves a fifth takes longer than all else that is done for the list (BenchmarkCompress).
var compressors = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // which is a level
	return z
}}

func compress(body []byte) []byte {
	var b bytes.Buffer
	z := compressors.Get().(*gzip.Writer)
	defer compressors.Put(z)
	z.Reset(&b)
	_, _ = z.Write(body) // writing to a buffer does not fail
	_ = z.Close()
	return b.Bytes()
}
