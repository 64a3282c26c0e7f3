package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"imagerequests/db"
	"imagerequests/db/embedded"
	"imagerequests/db/safedriver"
)

// database is the settings of every command that works on the database.
type database struct {
	Data        string `help:"Folder of the private database that is run when no database URL is given, by default ${default}." default:"data" setting:"IMAGEREQUESTS_DATA" placeholder:"DIR"`
	DatabaseURL string `help:"A Postgres of your own, as postgres://user@host/name?sslmode=verify-full. Best given by the environment: arguments can be seen by others." setting:"DATABASE_URL" placeholder:"URL"`
	PostgresBin string `help:"Folder of the PostgreSQL programs for the private database; found by itself in the usual places." setting:"IMAGEREQUESTS_POSTGRES_BIN" placeholder:"DIR"`
	Verbose     bool   `help:"Log more." short:"v" setting:"IMAGEREQUESTS_VERBOSE"`
}

// stopPatience is how long the private Postgres may take for an orderly end.
const stopPatience = 30 * time.Second

// open makes a store over the database that is meant, and migrates it. A private Postgres is started for it, or borrowed
// from the server that runs it where that is allowed. The closer ends what was started.
func (d database) open(ctx context.Context, c console, log *slog.Logger, borrow bool) (_ *db.Store, closer func() error, err error) {
	cfg, stop, err := d.postgres(ctx, c, log, borrow)
	if err != nil {
		return nil, nil, err
	}
	store, err := db.Open(cfg, log)
	if err != nil {
		return nil, nil, errors.Join(err, stop())
	}
	closer = func() error { return errors.Join(store.Close(), stop()) }
	steps, err := store.Migrate(ctx)
	if err != nil {
		return nil, nil, errors.Join(err, closer())
	}
	if steps > 0 {
		log.Info("the schema is up to date", "steps applied", steps)
	}
	return store, closer, nil
}

func (d database) postgres(ctx context.Context, c console, log *slog.Logger, borrow bool) (cfg safedriver.Config, stop func() error, err error) {
	if d.DatabaseURL != "" {
		cfg, err = safedriver.ParseURL(d.DatabaseURL, c.getenv)
		return cfg, func() error { return nil }, err
	}
	cluster, err := embedded.Start(ctx, embedded.Options{Dir: d.Data, BinDir: d.PostgresBin, Log: log})
	if borrow && errors.Is(err, embedded.ErrInUse) {
		cfg, err = embedded.Running(d.Data, databaseName)
		return cfg, func() error { return nil }, err
	}
	if err != nil {
		return cfg, nil, err
	}
	stop = func() error {
		ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
		defer cancel()
		return cluster.Stop(ctx)
	}
	return cluster.Config(databaseName), stop, nil
}

// databaseName is the database of the private Postgres that the service keeps its data in: the one every cluster has.
const databaseName = "postgres"

// migrate is the command that only migrates.
type migrate struct{ database }

// Run migrates.
func (m migrate) Run(ctx context.Context, c console) error {
	_, closer, err := m.open(ctx, c, c.log(m.Verbose), true)
	if err != nil {
		return err
	}
	if err := closer(); err != nil {
		return err
	}
	_, err = fmt.Fprintln(c.out, "The schema is up to date.")
	return err
}
