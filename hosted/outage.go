package hosted

// Learn reads all names that are published here, in the background. Once it has,
// a disk that fails leaves no doubt about the others: they are not ours, and
// upstream can be asked for them. It returns at once, and may be called again.
func (p *Packages) Learn() { p.index.begin() }

// remembered is Get while the store fails with err: the package as it was last
// read or written by this process, which is as good, since nobody else writes;
// or that there is none of that name, where that is known for certain. A private
// name must not fall through to upstream because a disk is broken.
func (p *Packages) remembered(name string, err error) (*Package, error) {
	if k, ok := p.memory.last(name); ok {
		return k, nil
	}
	if p.index.lacks(name) {
		return nil, notOurs(name)
	}
	return nil, err
}
