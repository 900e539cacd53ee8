// Inventory keeps the stock: how many of each product are left, and what open orders have reserved.
package main

import (
	"context"
	"errors"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// version is set by the build.
var version = "dev"

const timeToFinish = 700 * time.Millisecond

func main() {
	began := time.Now()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if err := run(ctx, began); err != nil {
		logLine("error", err.Error(), nil)
		os.Exit(1)
	}
	logLine("info", "stopped", nil)
}

func run(ctx context.Context, began time.Time) error {
	store, err := openStore(ctx, setting("DATABASE_URL", "postgres://shop:shop@postgres:5432/shop"))
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	defer store.close()

	server := &http.Server{Addr: ":" + setting("PORT", "8080"), Handler: newAPI(store), ReadTimeout: 10 * time.Second}
	failed := make(chan error, 1)
	go func() { failed <- server.ListenAndServe() }()
	logLine("info", "listening", fields{"version": version, "address": server.Addr, "startMs": time.Since(began).Milliseconds()})

	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
		deadline, cancel := context.WithTimeout(context.Background(), timeToFinish)
		defer cancel()
		if err := server.Shutdown(deadline); !errors.Is(err, context.DeadlineExceeded) {
			return err
		}
		return nil
	}
}

func setting(name, fallback string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return fallback
}
