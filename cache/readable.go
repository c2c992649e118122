package cache

import "io"

// readable reports why r, which has size bytes, cannot be read: a disk that
// has failed lets its files be opened all the same. It looks at the first byte
// alone, so that a hit does not pay for it.
func readable(r io.ReaderAt, size int64) error {
	if size == 0 {
		return nil
	}
	var first [1]byte
	if n, err := r.ReadAt(first[:], 0); n == 0 {
		return err
	}
	return nil
}
