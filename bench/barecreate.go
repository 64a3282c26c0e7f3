package main

import (
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"imagerequests/imaging"
)

// creation is what is sent to create, in the names that GraphQL has for it.
type creation struct {
	Name           string    `json:"name"`
	Instance       uuid.UUID `json:"instance"`
	Provider       int       `json:"provider"`
	Description    string    `json:"description"`
	Software       string    `json:"software"`
	Sys            string    `json:"sys"`
	Exclude        string    `json:"exclude"`
	Tags           []string  `json:"tags"`
	Visibility     string    `json:"visibility"`
	IPAddress      *string   `json:"ipAddress"`
	ChangeLog      string    `json:"changeLog"`
	IdempotencyKey string    `json:"idempotencyKey"`
}

type created struct {
	ID      uuid.UUID `json:"id"`
	Name    string    `json:"name,omitempty"`
	Version string    `json:"version,omitempty"`
	Status  string    `json:"status"`
}

// create stores what our create stores, the usual way: one statement after the other, in a transaction of its own.
func (h bare) create(r *http.Request, user string) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	var in creation
	if err := json.Unmarshal(body, &in); err != nil {
		return nil, err
	}
	request, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	version, err := uuid.NewV7()
	if err != nil {
		return nil, err
	}
	changes, err := in.changes()
	if err != nil {
		return nil, err
	}
	ctx, sum, now, status := r.Context(), sha256.Sum256(body), time.Now(), "PENDING"
	spelt := imaging.ImageRequest{Name: in.Name, Description: in.Description, Tags: in.Tags, Versions: []*imaging.Version{{}}}
	spelt.Settle()
	err = pgx.BeginFunc(ctx, h.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "INSERT INTO idempotency_keys (username, key, input_hash, image_request_id, version_id) VALUES ($1, $2, $3, $4, $5)",
			user, in.IdempotencyKey, sum[:], request, version); err != nil {
			return err
		}
		var active, approves bool
		if err := tx.QueryRow(ctx, "SELECT active, auto_approve FROM providers WHERE id = $1", in.Provider).Scan(&active, &approves); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO image_requests (id, name, description, tags, created_by, visibility, shared_with, start_date, revision, status, instance, provider_id, search_text)
			VALUES ($1, $2, $3, $4, $5, $6, '{}', $7, 1, $8, $9, $10, $11)`,
			request, in.Name, in.Description, in.Tags, user, in.Visibility, now, status, in.Instance, in.Provider, spelt.SearchText); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `INSERT INTO versions (id, image_request_id, ordinal, alias, version, change_log, instance, ip_address, provider_id, software, sys, exclude, requested_by, authors, start_date, status, name, visibility)
			VALUES ($1, $2, 1, $3, '1', $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
			version, request, version.String(), in.ChangeLog, in.Instance, in.IPAddress, in.Provider, in.Software, in.Sys, in.Exclude, user, []string{user}, now, status, in.Name, in.Visibility); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, "INSERT INTO events (image_request_id, version_id, seq, at, actor, action, to_status, changes) VALUES ($1, $2, 1, $3, $4, 'REQUESTED', $5, $6)",
			request, version, now, user, status, changes)
		return err
	})
	if err != nil {
		return nil, err
	}
	payload := map[string]created{"imageRequest": {ID: request, Name: in.Name, Status: status}, "version": {ID: version, Version: "1", Status: status}}
	return json.Marshal(map[string]any{"data": map[string]any{"requestImage": payload}})
}

// changes is what the event tells, about as long as ours.
func (in creation) changes() ([]byte, error) {
	type change struct {
		From any `json:"from"`
		To   any `json:"to"`
	}
	return json.Marshal(map[string]change{
		"name": {To: in.Name}, "description": {To: in.Description}, "tags": {To: in.Tags}, "visibility": {To: in.Visibility}, "version.instance": {To: in.Instance},
		"version.provider": {To: in.Provider}, "version.software": {To: in.Software}, "version.sys": {To: in.Sys}, "version.exclude": {To: in.Exclude},
		"version.ipAddress": {To: in.IPAddress}, "version.changeLog": {To: in.ChangeLog}, "version.status": {To: "PENDING"}, "createdBy": {To: "somebody"},
	})
}
