package main

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"imagerequests/db"
)

// bare is what somebody writes who needs no more than these answers: net/http, pgx, and as little as can be between them. It
// looks the token up and keeps to the visibility rule, as we do. It is compared with, so it should be as quick as such code is.
type bare struct{ pool *pgxpool.Pool }

// serveBare is the bare handler as a process of its own.
func serveBare(ctx context.Context, stdout io.Writer) error {
	cfg, err := pgxpool.ParseConfig(os.Getenv("DATABASE_URL"))
	if err != nil {
		return err
	}
	cfg.MaxConns = db.Connections
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return err
	}
	defer pool.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	h := bare{pool}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /json_agg/one/{id}", h.answering(h.oneAggregated))
	mux.HandleFunc("GET /json_agg/list", h.answering(h.listAggregated))
	mux.HandleFunc("GET /structs/one/{id}", h.answering(h.oneScanned))
	mux.HandleFunc("GET /structs/list", h.answering(h.listScanned))
	mux.HandleFunc("POST /create", h.answering(h.create))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	_, _ = fmt.Fprintf(stdout, "http://%s\n", listener.Addr())
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// answering finds out who asks, and writes what the handler answers.
func (h bare) answering(handle func(r *http.Request, user string) ([]byte, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		user, err := h.user(r)
		if err == nil {
			var body []byte
			if body, err = handle(r, user); err == nil {
				w.Header().Set("Content-Type", "application/json")
				w.Header().Set("Content-Length", strconv.Itoa(len(body)))
				_, _ = w.Write(body) // who left reads nothing
				return
			}
		}
		http.Error(w, err.Error(), http.StatusInternalServerError)
	}
}

func (h bare) user(r *http.Request) (name string, err error) {
	secret, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Token ")
	if !ok {
		return "", nil
	}
	sum := sha256.Sum256([]byte(secret))
	var roles []string
	var providers []int32
	err = h.pool.QueryRow(r.Context(), "SELECT username, roles, providers FROM tokens WHERE secret_hash = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())",
		sum[:]).Scan(&name, &roles, &providers)
	return name, err
}

// query is one statement in the making.
type query struct {
	text strings.Builder
	args []any
}

func (q *query) add(text string, args ...any) *query {
	for _, arg := range args {
		q.args = append(q.args, arg)
		text = strings.Replace(text, "?", "$"+strconv.Itoa(len(q.args)), 1)
	}
	q.text.WriteString(text)
	return q
}

func (q *query) visible(user string) *query {
	if user == "" {
		return q.add(" AND r.visibility = 'PUBLIC'")
	}
	return q.add(" AND (r.visibility = 'PUBLIC' OR r.created_by = ? OR r.visibility = 'USERS' AND r.shared_with @> ?)", user, []string{user})
}

// page is the condition, order and size of the list that is asked for.
func (q *query) page(r *http.Request, user string) *query {
	form := r.URL.Query()
	q.add(" WHERE (r.end_date IS NULL OR r.end_date > now())").visible(user)
	if date := form.Get("date"); date != "" {
		q.add(" AND (r.start_date, r.id) < (?::text::timestamptz, ?)", date, form.Get("id"))
	}
	n, _ := strconv.Atoi(form.Get("n"))
	return q.add(" ORDER BY r.start_date DESC, r.id DESC LIMIT " + strconv.Itoa(cmp.Or(n, 20)))
}

const aggregate = `SELECT r.id, r.icon, r.created_by AS "createdBy", r.name, r.tags, r.description, r.start_date AS "startDate", r.end_date AS "endDate", r.visibility,
	(SELECT json_agg(v) FROM (SELECT alias, version, start_date AS "startDate", end_date AS "endDate", json_build_object('id', provider_id) AS provider
	  FROM versions WHERE image_request_id = r.id ORDER BY ordinal) AS v) AS versions
	FROM image_requests AS r`

func (h bare) oneAggregated(r *http.Request, user string) ([]byte, error) {
	var q query
	q.add("SELECT row_to_json(t) FROM ("+aggregate+" WHERE r.id = ?", r.PathValue("id")).visible(user).add(") AS t")
	return h.aggregated(r.Context(), &q, `{"data":{"imageRequest":`, "}}")
}

func (h bare) listAggregated(r *http.Request, user string) ([]byte, error) {
	var q query
	q.add("SELECT coalesce(json_agg(t), '[]') FROM ("+aggregate).page(r, user).add(") AS t")
	return h.aggregated(r.Context(), &q, `{"data":{"imageRequests":{"nodes":`, "}}}")
}

// aggregated is what Postgres has made, as it is.
func (h bare) aggregated(ctx context.Context, q *query, before, behind string) ([]byte, error) {
	rows, err := h.pool.Query(ctx, q.text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, cmp.Or(rows.Err(), pgx.ErrNoRows)
	}
	made := rows.RawValues()[0] // good until Close
	body := make([]byte, 0, len(before)+len(made)+len(behind))
	return append(append(append(body, before...), made...), behind...), nil
}

type (
	scanned struct {
		ID          uuid.UUID  `json:"id"`
		Icon        *string    `json:"icon"`
		CreatedBy   string     `json:"createdBy"`
		Name        string     `json:"name"`
		Tags        []string   `json:"tags"`
		Description string     `json:"description"`
		StartDate   time.Time  `json:"startDate"`
		EndDate     *time.Time `json:"endDate"`
		Visibility  string     `json:"visibility"`
		Versions    []version  `json:"versions"`
	}
	version struct {
		Alias     string     `json:"alias"`
		Version   string     `json:"version"`
		StartDate time.Time  `json:"startDate"`
		EndDate   *time.Time `json:"endDate"`
		Provider  struct {
			ID int `json:"id"`
		} `json:"provider"`
	}
	one struct {
		Data struct {
			ImageRequest *scanned `json:"imageRequest"`
		} `json:"data"`
	}
	list struct {
		Data struct {
			ImageRequests struct {
				Nodes []*scanned `json:"nodes"`
			} `json:"imageRequests"`
		} `json:"data"`
	}
)

const (
	requestColumns = "r.id, r.icon, r.created_by, r.name, r.tags, r.description, r.start_date, r.end_date, r.visibility"
	versionColumns = ", v.alias, v.version, v.start_date, v.end_date, v.provider_id"
	joined         = " JOIN versions AS v ON v.image_request_id = r.id"
)

func (h bare) oneScanned(r *http.Request, user string) ([]byte, error) {
	var q query
	q.add("SELECT "+requestColumns+versionColumns+" FROM image_requests AS r"+joined+" WHERE r.id = ?", r.PathValue("id")).visible(user).add(" ORDER BY v.ordinal")
	all, err := h.scanned(r.Context(), &q)
	if err == nil && len(all) == 0 {
		err = pgx.ErrNoRows
	}
	if err != nil {
		return nil, err
	}
	var answer one
	answer.Data.ImageRequest = all[0]
	return json.Marshal(answer)
}

func (h bare) listScanned(r *http.Request, user string) ([]byte, error) {
	var q query
	q.add("SELECT "+requestColumns+versionColumns+" FROM (SELECT "+requestColumns+" FROM image_requests AS r").page(r, user).
		add(") AS r" + joined + " ORDER BY r.start_date DESC, r.id DESC, v.ordinal")
	var answer list
	var err error
	if answer.Data.ImageRequests.Nodes, err = h.scanned(r.Context(), &q); err != nil {
		return nil, err
	}
	return json.Marshal(answer)
}

func (h bare) scanned(ctx context.Context, q *query) ([]*scanned, error) {
	rows, err := h.pool.Query(ctx, q.text.String(), q.args...)
	if err != nil {
		return nil, err
	}
	return scan(rows)
}

func scan(rows pgx.Rows) ([]*scanned, error) {
	defer rows.Close()
	all := []*scanned{}
	for rows.Next() {
		var r scanned
		var v version
		err := rows.Scan((*[16]byte)(&r.ID), &r.Icon, &r.CreatedBy, &r.Name, &r.Tags, &r.Description, &r.StartDate, &r.EndDate, &r.Visibility,
			&v.Alias, &v.Version, &v.StartDate, &v.EndDate, &v.Provider.ID)
		if err != nil {
			return nil, err
		}
		if n := len(all); n == 0 || all[n-1].ID != r.ID {
			all = append(all, &r)
		}
		last := all[len(all)-1]
		last.Versions = append(last.Versions, v)
	}
	return all, rows.Err()
}
