package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"strings"
	"testing"
)

// TestAssets asks for every file that the page names, as a browser and as a client without compression would.
func TestAssets(t *testing.T) {
	t.Parallel()
	h := playground(t, demo)
	html := get(t, demo, "/playground").Body.String()
	paths := regexp.MustCompile(`/playground/assets/[^"]*`).FindAllString(html, -1)
	if len(paths) != len(assetFiles) {
		t.Errorf("the page names %d files, want %d", len(paths), len(assetFiles))
	}
	types := map[string]string{
		".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".md": "text/plain; charset=utf-8",
	}
	for _, p := range paths {
		t.Run(p, func(t *testing.T) {
			t.Parallel()
			plain := fetch(h, p, "", "")
			zipped := fetch(h, p, "br, gzip", "")
			for encoding, res := range map[string]*httptest.ResponseRecorder{"": plain, "gzip": zipped} {
				want := map[string]string{
					"Content-Encoding":       encoding,
					"Content-Type":           types[path.Ext(p)],
					"Cache-Control":          "public, max-age=31536000, immutable",
					"Vary":                   "Accept-Encoding",
					"X-Content-Type-Options": "nosniff",
				}
				for name, value := range want {
					if got := res.Header().Get(name); res.Code != http.StatusOK || got != value {
						t.Errorf("as %q: status %d, %s is %q, want %q", encoding, res.Code, name, got, value)
					}
				}
			}
			content, err := gunzip(zipped.Body.Bytes())
			if err != nil || !bytes.Equal(content, plain.Body.Bytes()) || len(content) == 0 {
				t.Errorf("compressed and plain differ: %d and %d bytes, %v", len(content), plain.Body.Len(), err)
			}
			sum := sha256.Sum256(content)
			if !strings.Contains(p, "."+hex.EncodeToString(sum[:8])+".") {
				t.Errorf("the name does not bear the content's hash %x", sum[:8])
			}
			etags := map[string]string{"": plain.Header().Get("ETag"), "gzip": zipped.Header().Get("ETag")}
			if etags[""] == etags["gzip"] {
				t.Errorf("both encodings have the ETag %s", etags[""])
			}
			for encoding, etag := range etags {
				if res := fetch(h, p, encoding, etag); res.Code != http.StatusNotModified || res.Body.Len() != 0 {
					t.Errorf("as %q with its ETag: status %d, %d bytes", encoding, res.Code, res.Body.Len())
				}
				if res := fetch(h, p, encoding, `"other"`); res.Code != http.StatusOK {
					t.Errorf("as %q with another ETag: status %d", encoding, res.Code)
				}
			}
		})
	}
}

// TestSums holds the embedded libraries against the sums that assets/update.sh checks: nobody has edited them.
func TestSums(t *testing.T) {
	t.Parallel()
	sums, err := os.ReadFile("assets/SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	assets, err := loadAssets()
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(sums)), "\n")
	if len(lines) != 4 {
		t.Errorf("%d sums, want 4", len(lines))
	}
	for _, line := range lines {
		want, name, _ := strings.Cut(line, "  ")
		a, ok := assets[name]
		if !ok {
			t.Errorf("%s is not embedded", name)
			continue
		}
		body, err := a.plain()
		if err != nil {
			t.Fatal(err)
		}
		plain, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		if sum := sha256.Sum256(plain); hex.EncodeToString(sum[:]) != want {
			t.Errorf("%s has the sum %x, want %s", name, sum, want)
		}
	}
}

func TestAcceptsGzip(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]bool{
		"":                         false,
		"gzip":                     true,
		"GZIP":                     true,
		"deflate, gzip;q=1.0, *":   true,
		"gzip, deflate, br, zstd":  true,
		"gzip;q=0.1":               true,
		"gzip;q=0":                 false,
		"gzip; q=0.000":            false,
		"*":                        true,
		"*;q=0":                    false,
		"*, gzip;q=0":              false,
		"gzip, *;q=0":              true,
		"identity":                 false,
		"br":                       false,
		"gzippy":                   false,
		"gzip;q=high":              false,
		", ,gzip":                  true,
		"identity;q=1, gzip;q=0.5": true,
	} {
		if got := acceptsGzip(header); got != want {
			t.Errorf("Accept-Encoding %q: %v, want %v", header, got, want)
		}
	}
}

func fetch(h http.Handler, path, acceptEncoding, ifNoneMatch string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for name, value := range map[string]string{"Accept-Encoding": acceptEncoding, "If-None-Match": ifNoneMatch} {
		if value != "" {
			r.Header.Set(name, value)
		}
	}
	res := httptest.NewRecorder()
	h.ServeHTTP(res, r)
	return res
}
