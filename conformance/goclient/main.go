// Command goclient makes the three documented calls with the client that oapi-codegen writes from the server's own
// /openapi.json. It is a module of its own, so that what it needs never enters the server's go.mod; the package
// goclient/api is generated in a temporary copy of this folder.
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"goclient/api"
)

var documentedID = uuid.MustParse("bdc31c14-f807-11e3-8ef5-b2227cce2b54")

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: goclient BASE TOKEN")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "goclient:", err)
		os.Exit(1)
	}
}

func run(base, token string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client, err := api.NewClientWithResponses(base, api.WithRequestEditorFn(func(_ context.Context, r *http.Request) error {
		r.Header.Set("Authorization", "Token "+token)
		return nil
	}))
	if err != nil {
		return err
	}
	if err := retrieve(ctx, client); err != nil {
		return fmt.Errorf("retrieve the documented item: %w", err)
	}
	created, err := request(ctx, client)
	if err != nil {
		return fmt.Errorf("request an image: %w", err)
	}
	if err := list(ctx, client, created); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	return nil
}

// retrieve also sees whether both kinds of null, and dates, arrive as Go values.
func retrieve(ctx context.Context, client *api.ClientWithResponses) error {
	res, err := client.RetrieveImageRequestWithResponse(ctx, documentedID, nil)
	if err != nil {
		return err
	}
	item := res.JSON200
	if item == nil {
		return fmt.Errorf("%s: %s", res.Status(), res.Body)
	}
	start := time.Date(2014, 2, 5, 1, 3, 27, 903e6, time.UTC)
	if item.Id != documentedID || item.Icon != nil || item.EndDate != nil || !item.StartDate.Equal(start) {
		return fmt.Errorf("got %+v", *item)
	}
	if len(item.Versions) != 1 || item.Versions[0].EndDate != nil || item.Versions[0].Provider != 1 {
		return fmt.Errorf("got the versions %+v", item.Versions)
	}
	return nil
}

func request(ctx context.Context, client *api.ClientWithResponses) (uuid.UUID, error) {
	body := fmt.Sprintf(`{"name": "Requested by the Go client", "instance": %q, "provider": 1, "description": "",
		"software": "", "exclude": "", "tags": ["conformance"], "vis": "private"}`, uuid.NewString())
	res, err := client.RequestImageWithBodyWithResponse(ctx, nil, "application/json", strings.NewReader(body))
	if err != nil {
		return uuid.Nil, err
	}
	if res.JSON200 == nil {
		return uuid.Nil, fmt.Errorf("%s: %s", res.Status(), res.Body)
	}
	if !res.JSON200.Private || len(res.JSON200.Versions) != 1 {
		return uuid.Nil, fmt.Errorf("got %+v", *res.JSON200)
	}
	return res.JSON200.Id, nil
}

func list(ctx context.Context, client *api.ClientWithResponses, created uuid.UUID) error {
	res, err := client.ListImageRequestsWithResponse(ctx, nil)
	if err != nil {
		return err
	}
	if res.JSON200 == nil {
		return fmt.Errorf("%s: %s", res.Status(), res.Body)
	}
	for _, item := range res.JSON200.Results {
		if item.Id == created {
			return nil
		}
	}
	return fmt.Errorf("%s, just asked for, is not among %d results", created, len(res.JSON200.Results))
}
