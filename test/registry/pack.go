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
