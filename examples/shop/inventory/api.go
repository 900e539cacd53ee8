package main

import (
	"crypto/rand"
	"database/sql/driver"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const largestBody = 1 << 20

// failure is an answer that is not a success: HTTP status, a stable code and a sentence for people.
type failure struct {
	status  int
	code    string
	message string
}

func (f failure) Error() string { return f.message }

type api struct{ store *store }

func newAPI(s *store) http.Handler { return &api{s} }

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := time.Now()
	id := r.Header.Get("X-Request-Id")
	if id == "" {
		id = newID()
	}
	w.Header().Set("X-Request-Id", id)

	status, body, err := a.answer(r)
	if err != nil {
		f := asFailure(err)
		if f.status >= 500 {
			logLine("error", "request failed", fields{"requestId": id, "path": r.URL.Path, "error": err.Error()})
		}
		status, body = f.status, fields{"error": fields{"code": f.code, "message": f.message}}
	}
	send(w, status, body)
	if r.URL.Path != "/healthz" {
		logLine("info", "request", fields{"method": r.Method, "path": r.URL.Path, "status": status,
			"ms": float64(time.Since(began).Microseconds()) / 1000, "requestId": id})
	}
}

func (a *api) answer(r *http.Request) (int, any, error) {
	first, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case first == "healthz" && rest == "":
		return a.health(r)
	case first == "stock" && rest == "" && r.Method == http.MethodGet:
		levels, err := a.store.levels(r.Context())
		return http.StatusOK, fields{"stock": levels}, err
	case first == "stock" && rest != "" && r.Method == http.MethodGet:
		level, err := a.store.level(r.Context(), rest)
		return http.StatusOK, level, err
	case first == "stock" && rest != "" && r.Method == http.MethodPut:
		return a.putStock(r, rest)
	case first == "stock" && rest != "" && r.Method == http.MethodDelete:
		return http.StatusNoContent, nil, a.store.remove(r.Context(), rest)
	case first == "reservations" && rest == "" && r.Method == http.MethodPost:
		return a.postReservation(r)
	case first == "reservations" && rest != "" && r.Method == http.MethodDelete:
		return http.StatusNoContent, nil, a.store.release(r.Context(), rest)
	}
	return 0, nil, failure{http.StatusNotFound, "no_such_path", "There is no " + r.Method + " " + r.URL.Path + "."}
}

func (a *api) health(r *http.Request) (int, any, error) {
	if err := a.store.ensureTables(r.Context()); err != nil {
		return http.StatusServiceUnavailable, fields{"status": "unavailable", "reason": err.Error()}, nil
	}
	return http.StatusOK, fields{"status": "ok"}, nil
}

func (a *api) putStock(r *http.Request, sku string) (int, any, error) {
	var body struct{ Quantity *int }
	if err := read(r, &body); err != nil {
		return 0, nil, err
	}
	if body.Quantity == nil || *body.Quantity < 0 || *body.Quantity > 1_000_000 {
		return 0, nil, failure{http.StatusUnprocessableEntity, "invalid_stock", "quantity must be a number from 0 to 1000000."}
	}
	level := Level{sku, *body.Quantity}
	return http.StatusOK, level, a.store.setLevel(r.Context(), level)
}

func (a *api) postReservation(r *http.Request) (int, any, error) {
	var wanted Reservation
	if err := read(r, &wanted); err != nil {
		return 0, nil, err
	}
	if err := checkReservation(wanted); err != nil {
		return 0, nil, err
	}
	return http.StatusCreated, wanted, a.store.reserve(r.Context(), wanted)
}

func checkReservation(wanted Reservation) error {
	invalid := func(message string) error {
		return failure{http.StatusUnprocessableEntity, "invalid_reservation", message}
	}
	if wanted.OrderID == "" || len(wanted.Items) == 0 {
		return invalid("A reservation needs orderId and items.")
	}
	for _, line := range wanted.Items {
		if line.SKU == "" || line.Quantity < 1 || line.Quantity > 1_000_000 {
			return invalid("Every item needs a sku and a quantity from 1 to 1000000.")
		}
	}
	return nil
}

func asFailure(err error) failure {
	var known failure
	var missing outOfStock
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &missing):
		return failure{http.StatusConflict, "out_of_stock", err.Error()}
	case errors.Is(err, errUnknown):
		return failure{http.StatusNotFound, "no_such_sku", "There is no stock of this SKU."}
	case isOutage(err):
		return failure{http.StatusServiceUnavailable, "database_unavailable", "The database does not answer."}
	}
	return failure{http.StatusInternalServerError, "internal", "Something went wrong."}
}

// isOutage tells a database that cannot be reached from one that refuses a statement.
func isOutage(err error) bool {
	var network net.Error
	return errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF)
}

func read(r *http.Request, into any) error {
	if err := json.NewDecoder(http.MaxBytesReader(nil, r.Body, largestBody)).Decode(into); err != nil {
		return failure{http.StatusBadRequest, "bad_json", "The body is not the expected JSON: " + err.Error()}
	}
	return nil
}

func send(w http.ResponseWriter, status int, body any) {
	if body == nil {
		w.WriteHeader(status)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

func newID() string {
	id := make([]byte, 16)
	_, _ = rand.Read(id)
	return hex.EncodeToString(id)
}
