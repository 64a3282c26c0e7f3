package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io"
	"mime"
	"net/http"
	"path"
	"strconv"
	"strings"
	"sync"
	"time"
)

//go:embed assets/*.gz assets/LICENSES.md page
var files embed.FS

// assetFiles are the files that the page loads or links to. Those ending in .gz are embedded compressed.
var assetFiles = []string{
	"assets/graphiql.min.css.gz",
	"assets/graphiql.min.js.gz",
	"assets/react.production.min.js.gz",
	"assets/react-dom.production.min.js.gz",
	"assets/LICENSES.md",
	"page/playground.css",
	"page/playground.js",
}

// contentTypes is our own table, because package mime reads the machine's, which may say anything.
var contentTypes = map[string]string{
	".css": "text/css; charset=utf-8",
	".js":  "text/javascript; charset=utf-8",
	".md":  "text/plain; charset=utf-8",
}

// asset is one file, to be read in either encoding. Its path contains the hash of its content and is good forever.
type asset struct {
	path        string
	contentType string
	hash        string
	plain       opener
	gzipped     opener
}

// opener gives a reader of a file's bytes from their beginning.
type opener func() (io.ReadSeeker, error)

// embedded reads a file where it lies in the program.
func embedded(file string) opener {
	return func() (io.ReadSeeker, error) {
		f, err := files.Open(file)
		if err != nil {
			return nil, err
		}
		return f.(io.ReadSeeker), nil //nolint:forcetypeassert // embed promises it
	}
}

// kept reads what is made when it is first asked for.
func kept(make func() ([]byte, error)) opener {
	make = sync.OnceValues(make)
	return func() (io.ReadSeeker, error) {
		content, err := make()
		return bytes.NewReader(content), err
	}
}

// loadAssets reads all files, by name without folder and .gz.
func loadAssets() (map[string]*asset, error) {
	assets := map[string]*asset{}
	for _, file := range assetFiles {
		a, err := loadAsset(file)
		if err != nil {
			return nil, fmt.Errorf("embedded file %s: %w", file, err)
		}
		assets[path.Base(strings.TrimSuffix(file, ".gz"))] = a
	}
	return assets, nil
}

func loadAsset(file string) (*asset, error) {
	name, compressed := strings.CutSuffix(path.Base(file), ".gz")
	a, read := &asset{}, func() ([]byte, error) { return files.ReadFile(file) }
	if compressed {
		read = func() ([]byte, error) { return unpack(file) }
		a.plain, a.gzipped = kept(read), embedded(file) // hardly any client wants the former
	} else {
		a.plain, a.gzipped = embedded(file), kept(func() ([]byte, error) { return compress(file) })
	}
	content, err := read()
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	a.hash = hex.EncodeToString(sum[:8])
	ext := path.Ext(name)
	a.path = "/playground/assets/" + strings.TrimSuffix(name, ext) + "." + a.hash + ext
	a.contentType = contentTypes[ext]
	return a, nil
}

func unpack(file string) ([]byte, error) {
	content, err := files.ReadFile(file)
	if err != nil {
		return nil, err
	}
	return gunzip(content)
}

func gunzip(content []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

func compress(file string) ([]byte, error) {
	content, err := files.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(content); err != nil {
		return nil, err
	}
	if err := z.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (a *asset) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	zipped := acceptsGzip(strings.Join(r.Header.Values("Accept-Encoding"), ","))
	open, etag := a.plain, a.hash
	if zipped {
		open, etag = a.gzipped, a.hash+"-gzip"
	}
	body, err := open()
	if err != nil {
		http.Error(w, "Something went wrong on our side.", http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	h.Set("ETag", strconv.Quote(etag))
	if zipped {
		h.Set("Content-Encoding", "gzip")
	}
	http.ServeContent(w, r, "", time.Time{}, body)
}

// acceptsGzip reads an Accept-Encoding header: gzip is wanted if it, or else *, is listed with a weight above zero.
func acceptsGzip(header string) bool {
	wanted := false
	for item := range strings.SplitSeq(header, ",") {
		coding, params, err := mime.ParseMediaType(strings.TrimSpace(item))
		if err != nil || coding != "gzip" && coding != "*" {
			continue
		}
		q, err := strconv.ParseFloat(params["q"], 64)
		above := params["q"] == "" || err == nil && q > 0
		if coding == "gzip" {
			return above
		}
		wanted = above
	}
	return wanted
}
