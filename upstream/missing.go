package upstream

import (
	"context"

	"larder/npm"
)

// missing notes that upstream says that a held package does not exist. Where it
// says so of many, it is upstream that is taken for sick, however long it goes
// on: registries answer 404, too, for whatever the credentials do not suffice
// for, and those of a whole scope expire together. Where there are credentials
// for a package of a scope, another one of that scope must be answered meanwhile.
func (r *Registry) missing(ctx context.Context, name string) {
	if s := r.entry(name).removals(); s != nil && s.Package != nil {
		return
	}
	now, vanished := r.now(), false
	r.absentees.note(name, now)
	absentees, since := r.absentees.all()
	heard := now.Sub(since) >= tallyTime // a start forgets the others, of which there may be many
	scope := ""
	if len(r.remote.credentials) > 0 {
		scope = npm.Scope(name)
	}
	many := len(absentees) > stormPackages
	r.change(ctx, name, func(s *removals) {
		s.Missing = s.Missing.again("", now)
		if !many && heard && s.Missing.due(now) && r.distrust.others(scope, name, s.Missing.First) {
			s.Package = &removal{Since: now, Evidence: byVanishing}
			s.Missing = nil
			vanished = true
		}
	})
	if vanished {
		r.metrics.TakenDown(string(byVanishing), 1)
		r.putAllAside(ctx, name)
		r.log.Warn("a package has vanished from upstream: it is taken down", "package", name)
	}
	if many {
		for _, other := range absentees {
			r.unbelieve(ctx, other)
		}
	}
}

// unbelieve serves a package on that counted as vanished before it was known
// that it is one of many.
func (r *Registry) unbelieve(ctx context.Context, name string) {
	if s := r.entry(name).removals(); s == nil || s.Package == nil {
		return
	}
	r.change(ctx, name, func(s *removals) { s.Package = nil })
	r.bringAllBack(ctx, name)
	r.log.Warn("a package that had vanished is served again: upstream says the same of too many", "package", name)
}
