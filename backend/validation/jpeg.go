package validation

import (
	"bytes"
	"encoding/binary"
)

// The second bytes of the markers that matter here.
const (
	markerTables     = 0xC4 // in the range of the frame headers, but none
	markerExtension  = 0xC8 // likewise
	markerArithmetic = 0xCC // likewise
	markerStart      = 0xD8
	markerEnd        = 0xD9
	markerScan       = 0xDA
)

// jpegHeader returns what the first frame header of a JPEG file says. The segments are walked to
// the end marker; the compressed data between them is not decoded.
func jpegHeader(data []byte) (Header, error) {
	header := Header{Format: "jpeg", Frames: 1}
	framed, scans, position := false, 0, 2
	for range MaxSegments {
		marker, field := nextMarker(data, position)
		if field < 0 {
			return header, corrupt("JPEG", "it has no end, as if cut off")
		}
		if marker == markerEnd {
			if !framed {
				return header, corrupt("JPEG", "it has no frame header")
			}
			header.Orientation = orientation(data)
			return header, nil
		}
		length := bigEndian16(data, field) // of the segment, with these two bytes
		if marker == markerStart || length < 2 {
			break
		}
		switch {
		case isFrame(marker) && !framed:
			var err error
			if header.Width, header.Height, err = frameSize(marker, data[field:]); err != nil {
				return header, err
			}
			framed = true
		case marker == markerScan:
			scans++
			if !framed {
				return header, corrupt("JPEG", "it has no frame header")
			}
			if scans > MaxScans {
				return header, reject(CodeTooManyScans, "The JPEG has more than %d scans.", MaxScans)
			}
		}
		position = field + length
	}
	return header, corrupt("JPEG", "its segments make no sense")
}

// nextMarker finds the first marker from a position on and returns its second byte and the
// position behind it, which is -1 where there is none.
//
// A marker is 0xFF and a byte other than 0x00 (stuffing), 0xFF (fill) and those without a length
// that count for nothing: 0x01 and the restart markers 0xD0…0xD7.
func nextMarker(data []byte, position int) (marker byte, behind int) {
	for position < len(data) {
		skipped := bytes.IndexByte(data[position:], 0xFF)
		position += skipped + 1
		if skipped < 0 || position == len(data) {
			break
		}
		marker = data[position]
		if marker > 0x01 && marker < 0xFF && (marker < 0xD0 || marker > 0xD7) {
			return marker, position + 1
		}
	}
	return 0, -1
}

// isFrame reports whether a marker begins a frame header (SOF0…SOF15).
func isFrame(marker byte) bool {
	switch marker {
	case markerTables, markerExtension, markerArithmetic:
		return false
	}
	return marker >= 0xC0 && marker <= 0xCF
}

// frameSize returns width and height from a frame header, which begins with its length, if it is
// of a kind that can be decoded.
func frameSize(marker byte, fields []byte) (width, height uint32, err error) {
	if marker > 0xC2 { // not baseline, extended or progressive
		return 0, 0, reject(CodeUnsupported, "This kind of JPEG (lossless, arithmetic) is not read.")
	}
	if len(fields) < 8 {
		return 0, 0, corrupt("JPEG", "it ends inside its header")
	}
	precision, components := fields[2], fields[7]
	if precision != 8 || (components != 1 && components != 3 && components != 4) {
		return 0, 0, reject(CodeUnsupported,
			"The JPEG has %d components of %d bits: expected 1, 3 or 4 of 8.", components, precision)
	}
	height = uint32(binary.BigEndian.Uint16(fields[3:]))
	width = uint32(binary.BigEndian.Uint16(fields[5:]))
	return width, height, nil
}
