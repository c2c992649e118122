package registry

// Pack returns the tarball that the registry serves for a package, its
// integrity ("sha512-…") and its shasum.
func Pack(p Package) (tgz []byte, integrity, shasum string, err error) {
	manifest, err := parseManifest(p)
	if err != nil {
		return nil, "", "", err
	}
	built, err := buildTarball(p, manifest)
	if err != nil {
		return nil, "", "", err
	}
	return built.bytes, built.integrity, built.shasum, nil
}

// Integrities are the hashes ("sha512-…") of all that the registry has, by
// NAME@VERSION.
func (s *Server) Integrities() map[string]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[string]string{}
	for _, p := range s.packages {
		for _, r := range p.releases {
			all[r.Name+"@"+r.Version] = r.integrity
		}
	}
	return all
}
