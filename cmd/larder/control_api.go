package main

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"unicode"

	"larder/auth"
	"larder/hosted"
	"larder/npm"
	"larder/upstream"
)

// The paths of the control socket.
const (
	statusPath  = "/v1/status"  // GET: statusReport
	offlinePath = "/v1/offline" // PUT switchOrder: statusReport
	forgetPath  = "/v1/forget"  // GET ?name=NAME: forgetReport; POST forgetOrder: {}
)

// statusReport says what is in effect.
type statusReport struct {
	Version   string           `json:"version"`
	Process   int              `json:"pid"`
	Offline   bool             `json:"offline"` // no upstream is asked
	Upstreams []upstreamReport `json:"upstreams"`
}

type upstreamReport struct {
	Name   string `json:"name"`
	State  string `json:"state"` // "ok", "offline" or "down"
	Reason string `json:"reason,omitempty"`
}

// switchOrder turns the asking of all upstreams off or on.
type switchOrder struct {
	Offline *bool  `json:"offline"`
	Actor   string `json:"actor"` // who orders it, for the journal
}

// forgetReport says what forgetting a name will lead to.
type forgetReport struct {
	Explanation string `json:"explanation"`
}

// forgetOrder gives up a name that was unpublished.
type forgetOrder struct {
	Name  string `json:"name"`
	Actor string `json:"actor"`
}

// errorReport is the body of every answer that is no success: a sentence.
type errorReport struct {
	Error string `json:"error"`
}

// controls answers on the control socket.
type controls struct {
	info       build
	settings   *settings
	registries []*upstream.Registry
	packages   *hosted.Packages
	journal    *auth.Journal
	log        *slog.Logger
}

// handler returns the handler of the control socket.
func (c *controls) handler() http.Handler {
	mux := http.NewServeMux()
	for pattern, handle := range map[string]func(*http.Request) (any, error){
		"GET " + statusPath:  func(*http.Request) (any, error) { return c.status(), nil },
		"PUT " + offlinePath: c.switchOffline,
		"GET " + forgetPath:  c.explainForget,
		"POST " + forgetPath: c.forget,
		"/": func(r *http.Request) (any, error) {
			return nil, badOrder("this larder has no " + r.Method + " " + r.URL.Path)
		},
	} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { answer(w, r, handle) })
	}
	return http.MaxBytesHandler(mux, maxControlBytes)
}

// answer writes what handle makes of a request. Whoever asks may read any
// error: it is the administrator.
func answer(w http.ResponseWriter, r *http.Request, handle func(*http.Request) (any, error)) {
	result, err := handle(r)
	status := http.StatusOK
	var bad badOrder
	switch {
	case errors.As(err, &bad):
		status, result = http.StatusBadRequest, errorReport{err.Error()}
	case err != nil:
		status, result = http.StatusInternalServerError, errorReport{explained(err).Error()}
	}
	body, err := json.Marshal(result)
	if err != nil {
		status, body = http.StatusInternalServerError, []byte(`{"error":"the answer cannot be written"}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // whoever has gone away is not told
}

// badOrder is what is wrong with a request, in a sentence.
type badOrder string

func (b badOrder) Error() string { return string(b) }

// readOrder reads the body of a request, which is one JSON object without
// unknown members.
func readOrder(r *http.Request, into any) error {
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badOrder("the order cannot be read: " + err.Error())
	}
	if _, err := d.Token(); err != io.EOF {
		return badOrder("the order is followed by something else")
	}
	return nil
}

// maxActor bounds the name of who gives an order, in bytes.
const maxActor = 200

func checkActor(actor string) error {
	if actor == "" || len(actor) > maxActor || strings.ContainsFunc(actor, unicode.IsControl) {
		return badOrder("the order does not say who gives it")
	}
	return nil
}

func (c *controls) status() statusReport {
	s := statusReport{Version: c.info.version, Process: os.Getpid(), Offline: len(c.registries) > 0, Upstreams: []upstreamReport{}}
	for _, reg := range c.registries {
		state, reason := reg.State()
		s.Offline = s.Offline && reg.Offline()
		s.Upstreams = append(s.Upstreams, upstreamReport{reg.Name(), state, reason})
	}
	return s
}

// switchOffline switches all upstreams at once. An order that changes nothing is
// obeyed, and not noted.
func (c *controls) switchOffline(r *http.Request) (any, error) {
	var order switchOrder
	if err := readOrder(r, &order); err != nil {
		return nil, err
	}
	if err := checkActor(order.Actor); err != nil {
		return nil, err
	}
	switch {
	case order.Offline == nil:
		return nil, badOrder(`the order lacks "offline"`)
	case len(c.registries) == 0:
		return nil, badOrder("this larder has no upstream that could be switched")
	}
	changed := false
	for _, reg := range c.registries {
		changed = changed || reg.Offline() != *order.Offline
		reg.SetOffline(*order.Offline)
	}
	if changed {
		action := "online"
		if *order.Offline {
			action = "offline"
		}
		c.log.Info("upstreams were switched by a command", "state", action, "actor", order.Actor)
		if err := record(c.journal, order.Actor, auth.Event{Action: action}, nil); err != nil {
			return nil, err
		}
	}
	return c.status(), nil
}

func (c *controls) explainForget(r *http.Request) (any, error) {
	name := r.URL.Query().Get("name")
	if err := c.checkForget(r.Context(), name); err != nil {
		return nil, err
	}
	return forgetReport{c.settings.afterForget(name)}, nil
}

func (c *controls) forget(r *http.Request) (any, error) {
	var order forgetOrder
	if err := readOrder(r, &order); err != nil {
		return nil, err
	}
	if err := checkActor(order.Actor); err != nil {
		return nil, err
	}
	if err := c.checkForget(r.Context(), order.Name); err != nil {
		return nil, err
	}
	return struct{}{}, forgetName(r.Context(), c.packages, c.journal, order.Actor, order.Name)
}

func (c *controls) checkForget(ctx context.Context, name string) error {
	if err := npm.CheckName(name); err != nil {
		return badOrder(npm.Message(err))
	}
	if err := mustBeUnpublished(ctx, c.packages, name); err != nil {
		return badOrder(explained(err).Error())
	}
	return nil
}
