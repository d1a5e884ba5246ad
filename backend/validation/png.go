package validation

import (
	"encoding/binary"
	"hash/crc32"
	"slices"
)

const (
	pngHeaderBytes = 33 // signature and header chunk
	chunkBytes     = 12 // of a chunk without data: length, kind, checksum
)

// bitDepths holds, for each colour type of PNG, the bits a sample that it may have.
var bitDepths = [][]byte{0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}

// pngHeader returns the header of a PNG file; its frames are what an acTL chunk before the data
// says. PNG pixels are taken as stored: the orientation is 1 even where an eXIf chunk says
// otherwise.
func pngHeader(data []byte) (Header, error) {
	if len(data) < pngHeaderBytes || string(data[8:16]) != "\x00\x00\x00\x0dIHDR" {
		return Header{}, corrupt("PNG", "it does not start with a header chunk")
	}
	if crc32.ChecksumIEEE(data[12:29]) != binary.BigEndian.Uint32(data[29:]) {
		return Header{}, corrupt("PNG", "the checksum of its header is wrong")
	}
	depth, colour, compression, filtering, interlace := data[24], data[25], data[26], data[27], data[28]
	if int(colour) >= len(bitDepths) || !slices.Contains(bitDepths[colour], depth) ||
		compression != 0 || filtering != 0 || interlace > 1 {
		return Header{}, corrupt("PNG", "its header names a kind of pixel that does not exist")
	}
	header := Header{
		Format:      "png",
		Width:       binary.BigEndian.Uint32(data[16:]),
		Height:      binary.BigEndian.Uint32(data[20:]),
		Orientation: 1,
		Frames:      1,
	}
	rest := data[pngHeaderBytes:]
	for range MaxSegments {
		if len(rest) < chunkBytes {
			break
		}
		switch string(rest[4:8]) {
		case "IDAT":
			return header, nil
		case "acTL":
			header.Frames = max(1, binary.BigEndian.Uint32(rest[8:]))
		}
		length := uint64(binary.BigEndian.Uint32(rest)) + chunkBytes
		rest = rest[min(length, uint64(len(rest))):]
	}
	return header, corrupt("PNG", "it holds no image data")
}
