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

// asset is one file, ready to be sent in either encoding. Its path contains the hash of its content and is good
// forever. It stays where it is embedded: hardly any client wants the other encoding of the large ones, for which they are unpacked.
type asset struct {
	path        string
	contentType string
	hash        string
	file        string
	gzipped     []byte // of a file that is embedded as it is
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
	a := &asset{file: file}
	content, err := a.plain()
	if err != nil {
		return nil, err
	}
	name, compressed := strings.CutSuffix(path.Base(file), ".gz")
	if !compressed {
		if a.gzipped, err = compress(content); err != nil {
			return nil, err
		}
	}
	sum := sha256.Sum256(content)
	a.hash = hex.EncodeToString(sum[:8])
	ext := path.Ext(name)
	a.path = "/playground/assets/" + strings.TrimSuffix(name, ext) + "." + a.hash + ext
	a.contentType = contentTypes[ext]
	return a, nil
}

func (a *asset) plain() ([]byte, error) {
	content, err := files.ReadFile(a.file)
	if err == nil && path.Ext(a.file) == ".gz" {
		return gunzip(content)
	}
	return content, err
}

// zipped is for reading, without a copy of the embedded file.
func (a *asset) zipped() (io.ReadSeeker, error) {
	if a.gzipped != nil {
		return bytes.NewReader(a.gzipped), nil
	}
	f, err := files.Open(a.file)
	if err != nil {
		return nil, err
	}
	return f.(io.ReadSeeker), nil //nolint:forcetypeassert // embed promises it
}

func gunzip(content []byte) ([]byte, error) {
	z, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(z)
}

func compress(content []byte) ([]byte, error) {
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
	h := w.Header()
	h.Set("Content-Type", a.contentType)
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Vary", "Accept-Encoding")
	etag, open := a.hash, func() (io.ReadSeeker, error) {
		content, err := a.plain()
		return bytes.NewReader(content), err
	}
	if acceptsGzip(strings.Join(r.Header.Values("Accept-Encoding"), ",")) {
		etag, open = a.hash+"-gzip", a.zipped
		h.Set("Content-Encoding", "gzip")
	}
	body, err := open()
	if err != nil { // which loading has seen that it is not
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h.Set("ETag", strconv.Quote(etag))
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
