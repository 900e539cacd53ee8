package main

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"time"

	_ "github.com/lib/pq"
)

const (
	timeToWait = 30 * time.Second
	schemaLock = 7_231_001
)

// The stock is seeded when its table is created and never again, so that loaded data stays as it is.
const createTables = `
	CREATE TABLE IF NOT EXISTS stock (
		sku text PRIMARY KEY,
		available integer NOT NULL CHECK (available >= 0)
	);
	CREATE TABLE IF NOT EXISTS reservations (
		order_id text NOT NULL,
		sku text NOT NULL,
		quantity integer NOT NULL CHECK (quantity > 0),
		created_at timestamptz NOT NULL DEFAULT now(),
		PRIMARY KEY (order_id, sku)
	);
	INSERT INTO stock (sku, available) VALUES
		('mug', 120), ('notebook', 200), ('lamp', 40), ('keyboard', 25),
		('headphones', 18), ('backpack', 30), ('plant', 60), ('chair', 3)
	ON CONFLICT DO NOTHING`

type store struct{ db *sql.DB }

// openStore waits for the database for a bounded time and creates what is missing in it.
func openStore(ctx context.Context, address string) (*store, error) {
	parsed, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL is not a URL: %w", err)
	}
	query := parsed.Query()
	if !query.Has("sslmode") {
		query.Set("sslmode", "disable")
	}
	if !query.Has("connect_timeout") {
		query.Set("connect_timeout", "3")
	}
	parsed.RawQuery = query.Encode()
	db, err := sql.Open("postgres", parsed.String())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	s := &store{db}

	deadline := time.Now().Add(timeToWait)
	for {
		err := s.ensureTables(ctx)
		if err == nil {
			return s, nil
		}
		if time.Now().After(deadline) {
			return nil, fmt.Errorf("the database did not answer in %s, giving up: %w", timeToWait, err)
		}
		logLine("warn", "waiting for the database", fields{"error": err.Error()})
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(300 * time.Millisecond):
		}
	}
}

func (s *store) close() { _ = s.db.Close() }

// ensureTables also serves as the readiness check: it mends a database that was emptied meanwhile.
func (s *store) ensureTables(ctx context.Context) error {
	exists, err := tablesExist(ctx, s.db)
	if err != nil || exists {
		return err
	}
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock($1)", schemaLock); err != nil {
			return err
		}
		if exists, err := tablesExist(ctx, tx); err != nil || exists {
			return err
		}
		_, err := tx.ExecContext(ctx, createTables)
		return err
	})
}

type querier interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func tablesExist(ctx context.Context, from querier) (exists bool, err error) {
	err = from.QueryRowContext(ctx, "SELECT to_regclass('stock') IS NOT NULL AND to_regclass('reservations') IS NOT NULL").Scan(&exists)
	return exists, err
}

func (s *store) inTransaction(ctx context.Context, work func(*sql.Tx) error) error {
	tx, err := s.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := work(tx); err != nil {
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}
