package auth

import "strings"

// The oldest crypt(3), Verdaccio's old default: DES with
// the expansion perturbed by a salt, 25 times over a block of zeros, with the
// low seven bits of the password's first eight bytes for a key. Only to verify
// such a hash once; the standard library's DES cannot be salted. Bits are
// numbered from 1 at the left, as in FIPS 46-3, where the tables are from.

const cryptDigits = "./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

const (
	desCryptLen    = 13 // two digits of salt, eleven of the block
	desCryptRounds = 25
)

// isDESCrypt reports whether a hash looks like one of desCrypt's.
func isDESCrypt(hash string) bool {
	return len(hash) == desCryptLen && strings.Trim(hash, cryptDigits) == ""
}

// desCrypt returns the hash of password. salt is two of cryptDigits.
func desCrypt(password, salt string) string {
	var key uint64
	for i := range 8 {
		key <<= 8
		if i < len(password) {
			key |= uint64(password[i]<<1) & 0xff
		}
	}
	saltBits := uint64(strings.IndexByte(cryptDigits, salt[0]) | strings.IndexByte(cryptDigits, salt[1])<<6)
	keys := desKeys(key)
	var block uint64
	for range desCryptRounds {
		block = desBlock(block, &keys, saltBits)
	}
	out := []byte(salt)
	for shift := 58; shift >= 0; shift -= 6 {
		out = append(out, cryptDigits[block>>shift&63])
	}
	return string(append(out, cryptDigits[block<<2&63])) // the last four bits, and two of zero
}

// desKeys is the key schedule.
func desKeys(key uint64) (keys [16]uint64) {
	halves := permute(key, 64, desPC1[:])
	left, right := halves>>28, halves&(1<<28-1)
	rotate := func(half uint64, by uint8) uint64 { return (half<<by | half>>(28-by)) & (1<<28 - 1) }
	for i, by := range desShifts {
		left, right = rotate(left, by), rotate(right, by)
		keys[i] = permute(left<<28|right, 56, desPC2[:])
	}
	return keys
}

// desBlock encrypts one block.
func desBlock(block uint64, keys *[16]uint64, salt uint64) uint64 {
	block = permute(block, 64, desIP[:])
	left, right := block>>32, block&(1<<32-1)
	for _, key := range keys {
		left, right = right, left^desRound(right, key, salt)
	}
	return permute(right<<32|left, 64, desFP[:])
}

// desRound is FIPS 46-3's f, with the salt between the expansion and the key:
// bit i of the salt swaps bits i and i+24 of the expansion.
func desRound(half, key, salt uint64) uint64 {
	wide := permute(half, 32, desE[:])
	for i := range 12 {
		if salt>>i&1 == 1 {
			a, b := 47-i, 23-i
			if wide>>a&1 != wide>>b&1 {
				wide ^= 1<<a | 1<<b
			}
		}
	}
	wide ^= key
	var out uint64
	for i, box := range desS {
		six := wide >> (42 - 6*i) & 63
		row, column := six>>4&2|six&1, six>>1&15
		out = out<<4 | uint64(box[row*16+column])
	}
	return permute(out, 32, desP[:])
}

// permute returns the bits of an input of the given width that table lists.
func permute(in uint64, width int, table []uint8) (out uint64) {
	for _, from := range table {
		out = out<<1 | in>>(width-int(from))&1
	}
	return out
}

var desShifts = [16]uint8{1, 1, 2, 2, 2, 2, 2, 2, 1, 2, 2, 2, 2, 2, 2, 1}

var desPC1 = [56]uint8{
	57, 49, 41, 33, 25, 17, 9, 1, 58, 50, 42, 34, 26, 18, 10, 2, 59, 51, 43, 35, 27, 19, 11, 3, 60, 52, 44, 36,
	63, 55, 47, 39, 31, 23, 15, 7, 62, 54, 46, 38, 30, 22, 14, 6, 61, 53, 45, 37, 29, 21, 13, 5, 28, 20, 12, 4,
}

var desPC2 = [48]uint8{
	14, 17, 11, 24, 1, 5, 3, 28, 15, 6, 21, 10, 23, 19, 12, 4, 26, 8, 16, 7, 27, 20, 13, 2,
	41, 52, 31, 37, 47, 55, 30, 40, 51, 45, 33, 48, 44, 49, 39, 56, 34, 53, 46, 42, 50, 36, 29, 32,
}

var desIP = [64]uint8{
	58, 50, 42, 34, 26, 18, 10, 2, 60, 52, 44, 36, 28, 20, 12, 4, 62, 54, 46, 38, 30, 22, 14, 6, 64, 56, 48, 40, 32, 24, 16, 8,
	57, 49, 41, 33, 25, 17, 9, 1, 59, 51, 43, 35, 27, 19, 11, 3, 61, 53, 45, 37, 29, 21, 13, 5, 63, 55, 47, 39, 31, 23, 15, 7,
}

var desFP = [64]uint8{
	40, 8, 48, 16, 56, 24, 64, 32, 39, 7, 47, 15, 55, 23, 63, 31, 38, 6, 46, 14, 54, 22, 62, 30, 37, 5, 45, 13, 53, 21, 61, 29,
	36, 4, 44, 12, 52, 20, 60, 28, 35, 3, 43, 11, 51, 19, 59, 27, 34, 2, 42, 10, 50, 18, 58, 26, 33, 1, 41, 9, 49, 17, 57, 25,
}

var desE = [48]uint8{
	32, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9, 8, 9, 10, 11, 12, 13, 12, 13, 14, 15, 16, 17,
	16, 17, 18, 19, 20, 21, 20, 21, 22, 23, 24, 25, 24, 25, 26, 27, 28, 29, 28, 29, 30, 31, 32, 1,
}

var desP = [32]uint8{
	16, 7, 20, 21, 29, 12, 28, 17, 1, 15, 23, 26, 5, 18, 31, 10, 2, 8, 24, 14, 32, 27, 3, 9, 19, 13, 30, 6, 22, 11, 4, 25,
}

var desS = [8][64]uint8{
	{
		14, 4, 13, 1, 2, 15, 11, 8, 3, 10, 6, 12, 5, 9, 0, 7, 0, 15, 7, 4, 14, 2, 13, 1, 10, 6, 12, 11, 9, 5, 3, 8,
		4, 1, 14, 8, 13, 6, 2, 11, 15, 12, 9, 7, 3, 10, 5, 0, 15, 12, 8, 2, 4, 9, 1, 7, 5, 11, 3, 14, 10, 0, 6, 13,
	}, {
		15, 1, 8, 14, 6, 11, 3, 4, 9, 7, 2, 13, 12, 0, 5, 10, 3, 13, 4, 7, 15, 2, 8, 14, 12, 0, 1, 10, 6, 9, 11, 5,
		0, 14, 7, 11, 10, 4, 13, 1, 5, 8, 12, 6, 9, 3, 2, 15, 13, 8, 10, 1, 3, 15, 4, 2, 11, 6, 7, 12, 0, 5, 14, 9,
	}, {
		10, 0, 9, 14, 6, 3, 15, 5, 1, 13, 12, 7, 11, 4, 2, 8, 13, 7, 0, 9, 3, 4, 6, 10, 2, 8, 5, 14, 12, 11, 15, 1,
		13, 6, 4, 9, 8, 15, 3, 0, 11, 1, 2, 12, 5, 10, 14, 7, 1, 10, 13, 0, 6, 9, 8, 7, 4, 15, 14, 3, 11, 5, 2, 12,
	}, {
		7, 13, 14, 3, 0, 6, 9, 10, 1, 2, 8, 5, 11, 12, 4, 15, 13, 8, 11, 5, 6, 15, 0, 3, 4, 7, 2, 12, 1, 10, 14, 9,
		10, 6, 9, 0, 12, 11, 7, 13, 15, 1, 3, 14, 5, 2, 8, 4, 3, 15, 0, 6, 10, 1, 13, 8, 9, 4, 5, 11, 12, 7, 2, 14,
	}, {
		2, 12, 4, 1, 7, 10, 11, 6, 8, 5, 3, 15, 13, 0, 14, 9, 14, 11, 2, 12, 4, 7, 13, 1, 5, 0, 15, 10, 3, 9, 8, 6,
		4, 2, 1, 11, 10, 13, 7, 8, 15, 9, 12, 5, 6, 3, 0, 14, 11, 8, 12, 7, 1, 14, 2, 13, 6, 15, 0, 9, 10, 4, 5, 3,
	}, {
		12, 1, 10, 15, 9, 2, 6, 8, 0, 13, 3, 4, 14, 7, 5, 11, 10, 15, 4, 2, 7, 12, 9, 5, 6, 1, 13, 14, 0, 11, 3, 8,
		9, 14, 15, 5, 2, 8, 12, 3, 7, 0, 4, 10, 1, 13, 11, 6, 4, 3, 2, 12, 9, 5, 15, 10, 11, 14, 1, 7, 6, 0, 8, 13,
	}, {
		4, 11, 2, 14, 15, 0, 8, 13, 3, 12, 9, 7, 5, 10, 6, 1, 13, 0, 11, 7, 4, 9, 1, 10, 14, 3, 5, 12, 2, 15, 8, 6,
		1, 4, 11, 13, 12, 3, 7, 14, 10, 15, 6, 8, 0, 5, 9, 2, 6, 11, 13, 8, 1, 4, 10, 7, 9, 5, 0, 15, 14, 2, 3, 12,
	}, {
		13, 2, 8, 4, 6, 15, 11, 1, 10, 9, 3, 14, 5, 0, 12, 7, 1, 15, 13, 8, 10, 3, 7, 4, 12, 5, 6, 11, 0, 14, 9, 2,
		7, 11, 4, 1, 9, 12, 14, 2, 0, 6, 10, 13, 15, 3, 5, 8, 2, 1, 14, 7, 4, 10, 8, 13, 15, 12, 9, 0, 3, 5, 6, 11,
	},
}
