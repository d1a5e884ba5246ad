package validation

import (
	"bytes"
	"encoding/binary"
)

const (
	tagOrientation = 0x0112
	typeShort      = 3
	entryBytes     = 12 // of a directory: tag, type, number of values, value
)

// orientation returns the EXIF orientation of a JPEG file, 1…8; 1 where there is none or it is
// damaged.
//
// The EXIF block is looked for only where the standards put it: right after the start marker, or
// after one or two APP0 segments. In its first directory the entry with the orientation's tag, type
// SHORT and one value counts; of several the largest.
//
// Source: CIPA DC-008 (Exif 2.32), 4.5.4 and 4.6.4; TIFF 6.0, section 2.
func orientation(data []byte) int {
	tiff := exifBlock(data)
	if len(tiff) < 10 {
		return 1
	}
	var order binary.ByteOrder
	switch string(tiff[:4]) {
	case "II*\x00":
		order = binary.LittleEndian
	case "MM\x00*":
		order = binary.BigEndian
	default:
		return 1
	}
	offset := uint64(order.Uint32(tiff[4:]))
	if offset+2 > uint64(len(tiff)) {
		return 1
	}
	count, entries := int(order.Uint16(tiff[offset:])), tiff[offset+2:]
	value, found := uint16(0), false
	for range min(count, len(entries)/entryBytes) {
		if order.Uint16(entries) == tagOrientation && order.Uint16(entries[2:]) == typeShort &&
			order.Uint32(entries[4:]) == 1 {
			value, found = max(value, order.Uint16(entries[8:])), true
		}
		entries = entries[entryBytes:]
	}
	if !found || value < 1 || value > 8 {
		return 1
	}
	return int(value)
}

// exifBlock returns the TIFF structure of a JPEG file's EXIF segment, nil where there is none.
func exifBlock(data []byte) []byte {
	start := 2
	for range 2 {
		if start+2 <= len(data) && data[start] == 0xFF && data[start+1] == 0xE0 {
			start += 2 + bigEndian16(data, start+2)
		}
	}
	if start+10 > len(data) || data[start] != 0xFF || data[start+1] != 0xE1 ||
		!bytes.Equal(data[start+4:start+10], []byte("Exif\x00\x00")) {
		return nil
	}
	end := min(start+2+bigEndian16(data, start+2), len(data))
	return data[min(start+10, end):end]
}
