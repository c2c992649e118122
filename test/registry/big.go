package registry

import (
	"fmt"
	"strings"
	"time"
)

// Big publishes a package of n versions, 1.0.0 to 1.0.n-1, whose full
// packument has about the given size in bytes: half of it in dependencies,
// which the abbreviated form shares, and half in scripts, which it drops.
func (s *Server) Big(name string, n, bytes int) error {
	const overhead = 950 // bytes of a version's entry without what is added here
	const entry = len(`"some-dependency-00000":"^1.0.0",`)
	each := max(0, bytes/n-overhead) / 2 / entry

	var dependencies, scripts strings.Builder
	for i := range each {
		fmt.Fprintf(&dependencies, `,"some-dependency-%05d":"^1.0.0"`, i)
		fmt.Fprintf(&scripts, `,"some-task-number-%05d":"run %d"`, i, i%10)
	}
	manifest := fmt.Sprintf(`{"name":%s,"version":"%%s","description":"a package with a long history","dependencies":{%s},"scripts":{%s}}`,
		quote(name), strings.TrimPrefix(dependencies.String(), ","), strings.TrimPrefix(scripts.String(), ","))
	for i := range n {
		version := fmt.Sprintf("1.0.%d", i)
		p := Package{Name: name, Version: version, Manifest: fmt.Sprintf(manifest, version), Time: Published.Add(time.Duration(i) * time.Hour)}
		if err := s.Add(p); err != nil {
			return err
		}
	}
	return nil
}
