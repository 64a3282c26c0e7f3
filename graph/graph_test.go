package graph_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/uuid"

	"imagerequests/auth"
	"imagerequests/db"
	"imagerequests/db/dbtest"
	"imagerequests/graph"
	"imagerequests/imaging"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// known are the tokens of the tests: each user's name is their token.
var known = map[string]imaging.Actor{
	"username": {Username: "username", Roles: []imaging.Role{imaging.Requester}},
	"stranger": {Username: "stranger", Roles: []imaging.Role{imaging.Requester}},
	"reviewer": {Username: "reviewer", Roles: []imaging.Role{imaging.Reviewer}},
	"admin":    {Username: "admin", Roles: []imaging.Role{imaging.Admin}},
}

// door is the GraphQL handler over a database of its own.
type door struct {
	t     *testing.T
	store *db.Store
	http.Handler
}

func newDoor(t *testing.T) door {
	t.Helper()
	store := dbtest.Store(t)
	if err := store.LoadDemo(context.Background()); err != nil {
		t.Fatal(err)
	}
	return door{t, store, graph.New(graph.Options{
		Store: store, Auth: auth.New(store, known), Throttle: auth.NewThrottle(0, 0, nil), Log: slog.New(slog.NewTextHandler(io.Discard, nil)),
	})}
}

// result is a response as a client sees it.
type result struct {
	Data   json.RawMessage
	Errors []struct {
		Message    string
		Path       []any
		Extensions map[string]any
	}
}

// as sends an operation with the user's token and returns the decoded answer.
func (d door) as(user, query string, variables map[string]any) result {
	d.t.Helper()
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		d.t.Fatal(err)
	}
	w := d.post(user, body)
	var r result
	if err := json.Unmarshal(w.Body.Bytes(), &r); err != nil {
		d.t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return r
}

func (d door) post(user string, body []byte) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "/graphql", bytes.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if user != "" {
		r.Header.Set("Authorization", "Token "+user)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, r)
	return w
}

// data decodes the data of an answer that has no errors.
func data[T any](t *testing.T, r result) (v T) {
	t.Helper()
	if len(r.Errors) > 0 {
		t.Fatalf("errors: %+v", r.Errors)
	}
	if err := json.Unmarshal(r.Data, &v); err != nil {
		t.Fatal(err)
	}
	return v
}

const requestImage = `mutation($input: RequestImageInput!) { requestImage(input: $input) {
	imageRequest { id name status revision sharedWith exclude versions { id } } version { id alias version excludePaths provider { id name } imageRequest { name } } } }`

func input(changes ...any) map[string]any {
	in := map[string]any{"input": map[string]any{"name": "Mine", "instance": uuid.NewString(), "provider": 1, "visibility": "PRIVATE"}}
	for i := 0; i < len(changes); i += 2 {
		in["input"].(map[string]any)[changes[i].(string)] = changes[i+1]
	}
	return in
}

func TestRequestAndReadBack(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	type request struct {
		RequestImage struct {
			ImageRequest struct{ ID, Name, Status, Exclude string }
			Version      struct {
				ID, Alias, Version string
				ExcludePaths       []string
				Provider           struct{ Name string }
			}
		}
	}
	made := data[request](t, d.as("username", requestImage, input("exclude", "/root/.ssh\nnothing else"))).RequestImage
	if made.Version.Alias != made.Version.ID || made.Version.Version != "1" || made.ImageRequest.Status != "PENDING" {
		t.Errorf("made %+v", made)
	}
	if len(made.Version.ExcludePaths) != 1 || made.Version.ExcludePaths[0] != "/root/.ssh" {
		t.Errorf("excludePaths %v", made.Version.ExcludePaths)
	}
	read := `query($id: ID!) { imageRequest(id: $id) { id name } node(id: $id) { id ... on ImageRequest { name } } }`
	for user, want := range map[string]bool{"username": true, "reviewer": true, "admin": true, "stranger": false, "": false} {
		r := d.as(user, read, map[string]any{"id": made.ImageRequest.ID})
		if seen := len(r.Errors) == 0; seen != want {
			t.Errorf("%q sees it: %v, want %v", user, seen, want)
		}
		unknown := d.as(user, read, map[string]any{"id": uuid.NewString()})
		if !want && (string(r.Data) != string(unknown.Data) || r.Errors[0].Message != unknown.Errors[0].Message) {
			t.Errorf("%q can tell an invisible request from an unknown one: %+v, %+v", user, r, unknown)
		}
	}
}

func TestErrorsNameCodeAndField(t *testing.T) {
	t.Parallel()
	d := newDoor(t)
	r := d.as("username", requestImage, input("name", "", "provider", 9, "instance", "x", "visibility", "USERS"))
	var got []string
	for _, e := range r.Errors {
		got = append(got, e.Extensions["code"].(string)+" "+e.Extensions["field"].(string))
	}
	want := "INVALID name, INVALID instance, INVALID sharedWith, INVALID provider"
	if strings.Join(got, ", ") != want {
		t.Errorf("got %s\nwant %s", strings.Join(got, ", "), want)
	}
	edit := `mutation($e: EditImageRequestInput!) { editImageRequest(input: $e) { imageRequest { endDate } } }`
	r = d.as("username", edit, map[string]any{"e": map[string]any{"imageRequest": db.DemoRequest, "endDate": "tomorrow"}})
	if len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != "INVALID" || r.Errors[0].Extensions["field"] != "endDate" {
		t.Errorf("a bad time: %+v", r.Errors)
	}
	r = d.as("", requestImage, input())
	if len(r.Errors) != 1 || r.Errors[0].Extensions["code"] != "UNAUTHENTICATED" {
		t.Errorf("not signed in: %+v", r.Errors)
	}
}
