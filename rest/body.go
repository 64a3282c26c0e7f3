package rest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"imagerequests/imaging"
)

// Limits of a body: bytes, and the time that sending it may take.
const (
	maxBody  = 1 << 20
	bodyTime = 20 * time.Second
)

// file stands for an uploaded file among the fields: it is no text.
type file struct{}

// fields reads the body as the members of an object: JSON, or a form, whose values are texts and, if they were sent more
// than once, lists of texts. An empty body has no fields, whatever its media type.
func (x *exchange) fields() (map[string]any, error) {
	if x.r.ContentLength == 0 {
		return map[string]any{}, nil
	}
	header := x.r.Header.Get("Content-Type")
	media, parameters, err := mime.ParseMediaType(header)
	if err != nil {
		media, _, _ = strings.Cut(strings.ToLower(header), ";")
	}
	var parse func([]byte) (map[string]any, error)
	switch strings.TrimSpace(media) {
	case typeJSON:
		parse = parseObject
	case "application/x-www-form-urlencoded":
		parse = parseForm
	case "multipart/form-data":
		parse = func(b []byte) (map[string]any, error) { return parseParts(b, parameters["boundary"]) }
	default:
		return nil, refuse(http.StatusUnsupportedMediaType, imaging.Invalid, `Unsupported media type "%s" in request.`, header)
	}
	body, err := x.body()
	if err != nil || len(body) == 0 {
		return map[string]any{}, err
	}
	return parse(body)
}

func (x *exchange) body() ([]byte, error) {
	tooLarge := refuse(http.StatusRequestEntityTooLarge, imaging.Limited, "The request body is larger than %d bytes.", maxBody)
	if x.r.ContentLength > maxBody {
		return nil, tooLarge
	}
	deadline := http.NewResponseController(x.w)
	_ = deadline.SetReadDeadline(time.Now().Add(bodyTime)) // fails only where there is no connection, as in tests
	body, err := io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, maxBody))
	var over *http.MaxBytesError
	switch {
	case err == nil:
		_ = deadline.SetReadDeadline(time.Time{}) // left in place it would cancel the request while it is served
		return body, nil
	case errors.As(err, &over):
		return nil, tooLarge
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, refuse(http.StatusRequestTimeout, imaging.Unavailable, "The request body took too long.")
	}
	return nil, refuse(http.StatusBadRequest, imaging.Invalid, "The request body is incomplete.")
}

// form makes one value of all that were sent for a name: the last one counts, but for the fields that are lists.
func form(all map[string][]any) map[string]any {
	fields := make(map[string]any, len(all))
	for name, list := range all {
		if name == "shared_with" || name == "tags" && len(list) > 1 {
			fields[name] = list
		} else {
			fields[name] = list[len(list)-1]
		}
	}
	return fields
}

func parseForm(body []byte) (map[string]any, error) {
	all := map[string][]any{}
	for name, texts := range parseQuery(string(body)) {
		for _, s := range texts {
			all[name] = append(all[name], s)
		}
	}
	return form(all), nil
}

func parseParts(body []byte, boundary string) (map[string]any, error) {
	if boundary == "" {
		return nil, refuse(http.StatusBadRequest, imaging.Invalid, "Multipart form parse error - Invalid boundary in multipart: None")
	}
	all := map[string][]any{}
	for r := multipart.NewReader(bytes.NewReader(body), boundary); ; {
		part, err := r.NextPart()
		if errors.Is(err, io.EOF) {
			return form(all), nil
		}
		var value any
		if err == nil {
			value, err = partValue(part)
		}
		if err != nil {
			return nil, refuse(http.StatusBadRequest, imaging.Invalid, "Multipart form parse error - The body does not consist of its parts.")
		}
		all[part.FormName()] = append(all[part.FormName()], value)
	}
}

func partValue(part *multipart.Part) (any, error) {
	text, err := io.ReadAll(part)
	if part.FileName() != "" {
		return file{}, err
	}
	return string(text), err
}

// parseObject reads a JSON object, refusing all other JSON as the framework does.
func parseObject(body []byte) (map[string]any, error) {
	v, err := parseJSON(body)
	if err != nil {
		return nil, err
	}
	fields, ok := v.(map[string]any)
	if !ok {
		e := imaging.Errorf(imaging.Invalid, "Invalid data. Expected a dictionary, but got %s.", typeName(v))
		return nil, imaging.Problems{e}
	}
	return fields, nil
}

// parseJSON reads strict JSON. Only where that stumbles over an identifier in the place of a name are bare names quoted,
// as in the documented example, and the outcome read strictly again. It changes body.
func parseJSON(body []byte) (any, error) {
	imaging.MarkSurrogates(body)
	if err := syntax(body); err != nil {
		if err.message != expectingName || err.at == len(body) || !identifier(body[err.at]) {
			return nil, parseError(err, body)
		}
		s := scanner{text: body, bare: true}
		if err := s.scan(); err != nil {
			return nil, parseError(err, body)
		}
		body = quoted(body, s.names)
	}
	var v any
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	if err := d.Decode(&v); err != nil { // the scanner has been through it, so this does not happen
		return nil, fmt.Errorf("decode what was scanned: %w", err)
	}
	return v, nil
}

// syntax is what keeps the text from being strict JSON in UTF-8, nil if nothing does.
func syntax(text []byte) *syntaxError {
	if json.Valid(text) && utf8.Valid(text) {
		return nil
	}
	if bytes.HasPrefix(text, []byte("\ufeff")) {
		return &syntaxError{"Unexpected UTF-8 BOM (decode using utf-8-sig)", 0}
	}
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && size == 1 {
			return &syntaxError{"Invalid UTF-8", i}
		}
		i += size
	}
	s := scanner{text: text}
	return s.scan()
}

// quoted puts quotes around the names.
func quoted(text []byte, names []int) []byte {
	out, from := make([]byte, 0, len(text)+len(names)), 0
	for _, i := range names {
		out = append(append(out, text[from:i]...), '"')
		from = i
	}
	return append(out, text[from:]...)
}

func parseError(err *syntaxError, text []byte) error {
	return refuse(http.StatusBadRequest, imaging.Invalid, "JSON parse error - %s", err.in(text))
}

// typeName is Python's name for the type of a JSON value, as the framework's messages have it.
func typeName(v any) string {
	switch v := v.(type) {
	case nil:
		return "NoneType"
	case bool:
		return "bool"
	case string:
		return "str"
	case json.Number:
		if strings.ContainsAny(v.String(), ".eE") {
			return "float"
		}
		return "int"
	case []any:
		return "list"
	case map[string]any:
		return "dict"
	}
	return "file"
}
