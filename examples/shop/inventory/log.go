package main

import (
	"encoding/json"
	"os"
	"sync"
	"time"
)

type fields map[string]any

var logMutex sync.Mutex

// logLine writes one JSON line to stdout: time, level, msg, service, then the given fields.
func logLine(level, msg string, more fields) {
	line := fields{"time": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"), "level": level, "msg": msg, "service": "inventory"}
	for name, value := range more {
		line[name] = value
	}
	logMutex.Lock()
	defer logMutex.Unlock()
	_ = json.NewEncoder(os.Stdout).Encode(line)
}
