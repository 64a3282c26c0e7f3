// Command genqlient lists, asks for and looks up image requests with the client that genqlient writes from
// schema.graphqls. It is a module of its own, so that what it needs never enters the server's go.mod; the package
// genqlient/api is generated in a temporary copy of this folder.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/Khan/genqlient/graphql"
	"github.com/google/uuid"

	"genqlient/api"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: genqlient BASE TOKEN")
		os.Exit(2)
	}
	if err := run(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "genqlient:", err)
		os.Exit(1)
	}
	fmt.Println("the Go client compiles, asks for images, pages through a list and reads the codes of errors")
}

// signedIn sends the token with each request.
type signedIn string

func (token signedIn) Do(r *http.Request) (*http.Response, error) {
	r.Header.Set("Authorization", "Token "+string(token))
	return http.DefaultClient.Do(r)
}

func run(base, token string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	client := graphql.NewClient(base+"/graphql", signedIn(token))
	tag := uuid.NewString()
	var made []string
	for range 3 {
		id, err := request(ctx, client, tag)
		if err != nil {
			return fmt.Errorf("request an image: %w", err)
		}
		made = append(made, id)
	}
	if err := list(ctx, client, tag, made); err != nil {
		return fmt.Errorf("list: %w", err)
	}
	_, err := api.OneRequest(ctx, client, uuid.NewString())
	if code := code(err); code != "NOT_FOUND" {
		return fmt.Errorf("what is not there has the code %q: %w", code, err)
	}
	return nil
}

func request(ctx context.Context, client graphql.Client, tag string) (string, error) {
	res, err := api.RequestImage(ctx, client, api.RequestImageInput{
		Name: "Requested by genqlient", Instance: uuid.NewString(), Provider: 1, Visibility: api.VisibilityPrivate, Tags: []string{tag},
	})
	if err != nil {
		return "", err
	}
	return res.RequestImage.ImageRequest.Id, nil
}

// list reads page after page of one request each, the newest first.
func list(ctx context.Context, client graphql.Client, tag string, made []string) error {
	one := 1
	var after *string
	for i := len(made) - 1; i >= 0; i-- {
		res, err := api.ListRequests(ctx, client, &one, after, &api.ImageRequestFilter{Tags: []string{tag}})
		if err != nil {
			return err
		}
		page := res.ImageRequests
		if page.TotalCount != len(made) || len(page.Nodes) != 1 || page.Nodes[0].Id != made[i] || page.PageInfo.HasNextPage != (i > 0) {
			return fmt.Errorf("in the place of %s there is the page %+v", made[i], page)
		}
		node := page.Nodes[0]
		if node.EndDate != nil || time.Since(node.StartDate) > time.Hour || node.Versions[0].Status != api.StatusPending {
			return fmt.Errorf("got %+v", node)
		}
		after = page.PageInfo.EndCursor
	}
	return nil
}

// code is extensions.code of the first GraphQL error; "" if there is none. What genqlient returns is a list of them, of a
// type that is read as JSON here: only the server's own packages may know the library that it comes from.
func code(err error) string {
	var list []struct{ Extensions struct{ Code string } }
	text, _ := json.Marshal(err)
	if json.Unmarshal(text, &list) != nil || len(list) == 0 {
		return ""
	}
	return list[0].Extensions.Code
}
