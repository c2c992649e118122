package main

import (
	"context"

	"larder/proxy"
	"larder/upstream"
)

// checks are all conditions of health that package proxy does not know of.
func (srv *server) checks() []proxy.Check {
	all := append(directoryChecks(srv.data.path), upstreamChecks(srv.registries)...)
	all = append(all, srv.damageCheck(), srv.roomCheck())
	if srv.cert != nil {
		all = append(all, proxy.Check{Name: "TLS certificate", Run: srv.cert.Run})
	}
	return all
}

// directoryChecks are the conditions of health of the data directory. Its
// directories may be on volumes of their own.
func directoryChecks(data string) []proxy.Check {
	var checks []proxy.Check
	for _, p := range []*writeProbe{
		{name: "data directory", dir: data},
		{name: "directory of published packages", dir: hostedPath(data)},
		{name: "directory of accounts", dir: authPath(data)},
	} {
		checks = append(checks, proxy.Check{Name: p.name, Run: p.Run})
	}
	return checks
}

// upstreamChecks are the alarms of the registries.
func upstreamChecks(registries []*upstream.Registry) []proxy.Check {
	var checks []proxy.Check
	for _, r := range registries {
		checks = append(checks, proxy.Check{
			Name: "trust in upstream " + r.Name(),
			Run:  func(context.Context) error { return r.Alarm() },
		})
	}
	return checks
}

// roomCheck is the alarm of a cache that stores nothing for lack of room.
func (srv *server) roomCheck() proxy.Check {
	return proxy.Check{Name: "room for the cache", Run: func(context.Context) error { return srv.store.Alarm() }}
}

// damageCheck shows in health that something published here is damaged.
func (srv *server) damageCheck() proxy.Check {
	return proxy.Check{Name: "published packages", Run: func(context.Context) error { return srv.hosted.Alarm() }}
}
