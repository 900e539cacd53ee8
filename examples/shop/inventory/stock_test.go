package main

import (
	"reflect"
	"testing"
)

func TestInLockOrderMergesAndSorts(t *testing.T) {
	got := inLockOrder([]Line{{"mug", 1}, {"chair", 2}, {"mug", 3}})
	want := []Line{{"chair", 2}, {"mug", 4}}
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
}

func TestCheckReservation(t *testing.T) {
	cases := map[string]struct {
		wanted Reservation
		valid  bool
	}{
		"complete":         {Reservation{"o-1", []Line{{"mug", 1}}}, true},
		"without an order": {Reservation{"", []Line{{"mug", 1}}}, false},
		"without items":    {Reservation{"o-1", nil}, false},
		"of nothing":       {Reservation{"o-1", []Line{{"mug", 0}}}, false},
		"of no product":    {Reservation{"o-1", []Line{{"", 1}}}, false},
	}
	for name, c := range cases {
		if err := checkReservation(c.wanted); (err == nil) != c.valid {
			t.Errorf("%s: got error %v", name, err)
		}
	}
}
