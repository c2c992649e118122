package cache

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
)

// What is read back from disk is first checked: a power cut can leave a file
// with its right length and nothing in it, and disks age. A sealed text is one
// line, "larder KIND CRC LENGTH", and as many bytes of text as it says; other
// bytes may follow. Its first line also tells people what they look at.

var errSeal = errors.New("broken seal")

// seal returns text behind a line that vouches for it. kind is a word without
// spaces that names the format and its version.
func seal(kind string, text []byte) []byte {
	return append(append(sealLine(kind, text), '\n'), text...)
}

func sealLine(kind string, text []byte) []byte {
	return fmt.Appendf(nil, "larder %s %08x %d", kind, crc(text), len(text))
}

// unseal returns the text of a sealed text and what follows it. Both are
// slices of data.
func unseal(kind string, data []byte) (text, rest []byte, err error) {
	line, rest, ok := bytes.Cut(data, []byte("\n"))
	if !ok {
		return nil, nil, errSeal
	}
	var sum uint32
	var length int
	_, err = fmt.Sscanf(string(line), "larder "+kind+" %08x %d", &sum, &length)
	// The whole line is compared: Sscanf reads much that seal does not write.
	if err != nil || length < 0 || length > len(rest) || !bytes.Equal(line, sealLine(kind, rest[:length])) {
		return nil, nil, errSeal
	}
	return rest[:length], rest[length:], nil
}

// crc is CRC-32C: processors compute it at 10 GB/s and more.
func crc(p []byte) uint32 { return crc32.Checksum(p, crc32.MakeTable(crc32.Castagnoli)) }
