package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sort"
)

// Level is how many pieces of a product can still be ordered.
type Level struct {
	SKU       string `json:"sku"`
	Available int    `json:"available"`
}

// Line asks for a number of pieces of one product.
type Line struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity"`
}

// Reservation holds stock for an order.
type Reservation struct {
	OrderID string `json:"orderId"`
	Items   []Line `json:"items"`
}

var errUnknown = errors.New("unknown SKU")

type outOfStock struct{ sku string }

func (e outOfStock) Error() string { return fmt.Sprintf("There is not enough of %s left.", e.sku) }

// inLockOrder returns one line per SKU, sorted: two orders that lock the same rows in the same order cannot deadlock.
func inLockOrder(lines []Line) []Line {
	quantities := map[string]int{}
	for _, line := range lines {
		quantities[line.SKU] += line.Quantity
	}
	merged := make([]Line, 0, len(quantities))
	for sku, quantity := range quantities {
		merged = append(merged, Line{sku, quantity})
	}
	sort.Slice(merged, func(i, j int) bool { return merged[i].SKU < merged[j].SKU })
	return merged
}

func (s *store) levels(ctx context.Context) ([]Level, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT sku, available FROM stock ORDER BY sku")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	levels := []Level{}
	for rows.Next() {
		var level Level
		if err := rows.Scan(&level.SKU, &level.Available); err != nil {
			return nil, err
		}
		levels = append(levels, level)
	}
	return levels, rows.Err()
}

func (s *store) level(ctx context.Context, sku string) (Level, error) {
	level := Level{SKU: sku}
	err := s.db.QueryRowContext(ctx, "SELECT available FROM stock WHERE sku = $1", sku).Scan(&level.Available)
	if errors.Is(err, sql.ErrNoRows) {
		return level, errUnknown
	}
	return level, err
}

func (s *store) setLevel(ctx context.Context, level Level) error {
	_, err := s.db.ExecContext(ctx, `INSERT INTO stock (sku, available) VALUES ($1, $2)
		ON CONFLICT (sku) DO UPDATE SET available = excluded.available`, level.SKU, level.Available)
	return err
}

func (s *store) remove(ctx context.Context, sku string) error {
	_, err := s.db.ExecContext(ctx, "DELETE FROM stock WHERE sku = $1", sku)
	return err
}

// reserve takes all lines or none. An order that has its reservation already keeps it: the call may be repeated.
func (s *store) reserve(ctx context.Context, wanted Reservation) error {
	return s.inTransaction(ctx, func(tx *sql.Tx) error {
		for _, line := range inLockOrder(wanted.Items) {
			added, err := changed(tx.ExecContext(ctx, `INSERT INTO reservations (order_id, sku, quantity) VALUES ($1, $2, $3)
				ON CONFLICT DO NOTHING`, wanted.OrderID, line.SKU, line.Quantity))
			if err != nil {
				return err
			}
			if !added {
				continue
			}
			taken, err := changed(tx.ExecContext(ctx, `UPDATE stock SET available = available - $2
				WHERE sku = $1 AND available >= $2`, line.SKU, line.Quantity))
			if err != nil {
				return err
			}
			if !taken {
				return outOfStock{line.SKU}
			}
		}
		return nil
	})
}

// release gives an order's stock back; without a reservation it does nothing.
func (s *store) release(ctx context.Context, orderID string) error {
	_, err := s.db.ExecContext(ctx, `WITH released AS (DELETE FROM reservations WHERE order_id = $1 RETURNING sku, quantity)
		UPDATE stock SET available = available + quantity FROM released WHERE stock.sku = released.sku`, orderID)
	return err
}

func changed(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	count, err := result.RowsAffected()
	return count > 0, err
}
