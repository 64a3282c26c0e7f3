package embedded

import (
	"context"
	"database/sql"
	"testing"

	"imagerequests/db/safedriver"
)

func TestRunningReachesTheServerOfAnotherProcess(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	if _, err := Running(dir, "postgres"); err == nil {
		t.Error("an empty folder has a running server")
	}
	c, err := Start(t.Context(), Options{Dir: dir, Throwaway: true})
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := Running(dir, "postgres")
	if err != nil {
		t.Fatal(err)
	}
	connector, err := safedriver.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	pool := sql.OpenDB(connector)
	if err := pool.Ping(); err != nil {
		t.Error(err)
	}
	_ = pool.Close()
	if err := c.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if _, err := Running(dir, "postgres"); err == nil {
		t.Error("a stopped server is running")
	}
}
