// Package validation looks at an image's header and says no before anything is decoded.
//
// For every byte string it gives the verdict of images.inspect in the Python package cnnlab: the
// same header or the same code, by the same checks in the same order. It differs in one point:
// formats other than JPEG and PNG, which Python converts, are refused as foreign.
package validation

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
)

// Header is what an image's first bytes say of it.
type Header struct {
	Format      string // "jpeg" or "png"
	Width       uint32 // pixels across, as stored: before the orientation is applied
	Height      uint32 // pixels down, as stored
	Orientation int    // EXIF orientation 1…8 that is still to be applied
	Frames      uint32 // images in the file, at least 1
}

// Rejected says why an image is refused. Inspect returns no other error.
type Rejected struct {
	Code    string // one of the Code constants
	Message string // one sentence for a person
}

// Error returns the message.
func (r *Rejected) Error() string { return r.Message }

// Inspect returns what the header of a whole JPEG or PNG file says, or a *Rejected. No pixel is
// decoded, data is neither changed nor kept, and the time is linear in its length. The format is
// told by the first bytes.
func Inspect(data []byte) (Header, error) {
	if len(data) == 0 {
		return Header{}, reject(CodeEmpty, "The file is empty: expected an image.")
	}
	if len(data) > MaxBytes {
		return Header{}, reject(CodeTooManyBytes,
			"The image has %s MB: at most %s are accepted.", Megabytes(len(data)+99_999), Megabytes(MaxBytes))
	}
	var header Header
	var err error
	switch format := sniff(data); format {
	case "JPEG":
		header, err = jpegHeader(data)
	case "PNG":
		header, err = pngHeader(data)
	case "":
		return Header{}, reject(CodeUnknownFormat,
			"These bytes are not an image of a known format: this server reads JPEG and PNG.")
	default:
		return Header{}, reject(CodeForeignFormat,
			"This is %s, and this server reads JPEG and PNG: convert the image to JPEG.", format)
	}
	if err == nil {
		err = header.check()
	}
	if err != nil {
		return Header{}, err
	}
	return header, nil
}

// sniff returns the format that the first bytes name, "" for an unknown one.
func sniff(data []byte) string {
	head := data[:min(len(data), 12)]
	starts := func(signature string) bool { return bytes.HasPrefix(head, []byte(signature)) }
	switch {
	case starts("\xff\xd8\xff"):
		return "JPEG"
	case starts("\x89PNG\r\n\x1a\n"):
		return "PNG"
	case starts("GIF87a"), starts("GIF89a"):
		return "GIF"
	case starts("BM"):
		return "BMP"
	case starts("RIFF") && bytes.HasSuffix(head, []byte("WEBP")):
		return "WebP"
	case starts("II*\x00"), starts("MM\x00*"):
		return "TIFF"
	}
	return heifFormat(data)
}

// heifFormat returns how the picture in a HEIF file is coded, by its brands: "AVIF", "HEIC", "HEIF"
// where they do not say it, "" for another file.
func heifFormat(data []byte) string {
	if len(data) < 12 || string(data[4:8]) != "ftyp" {
		return ""
	}
	switch major := string(data[8:12]); major {
	case "mif1", "msf1": // any coding: the first compatible brand that names one decides
	default:
		return coding(major)
	}
	size := int64(binary.BigEndian.Uint32(data))
	end := int(min(size, int64(len(data)), 16+4*MaxBrands))
	for at := 16; at+4 <= end; at += 4 {
		if format := coding(string(data[at : at+4])); format != "" {
			return format
		}
	}
	return "HEIF"
}

// coding returns the format that a brand stands for, "" if it stands for none.
func coding(brand string) string {
	switch brand {
	case "heic", "heix", "heim", "heis", "hevc", "hevx", "hevm", "hevs":
		return "HEIC"
	case "avif", "avis":
		return "AVIF"
	}
	return ""
}

// check refuses an image whose decoding would be pointless or dangerous. The order of the checks
// decides the code.
func (h Header) check() error {
	short, long := uint64(min(h.Width, h.Height)), uint64(max(h.Width, h.Height))
	const size = "The image is %d×%d pixels: "
	switch {
	case short < MinSide:
		return reject(CodeSideTooSmall, size+"each side must have at least %d.",
			h.Width, h.Height, MinSide)
	case long > MaxSide:
		return reject(CodeSideTooLarge, size+"each side may have at most %s.",
			h.Width, h.Height, grouped(MaxSide))
	case short*long > MaxPixels:
		return reject(CodeTooManyPixels, size+"at most %s are accepted of %s.",
			h.Width, h.Height, grouped(MaxPixels), strings.ToUpper(h.Format))
	case long > MaxRatio*short:
		return reject(CodeAspectRatio, size+"one side may be at most %d times the other.",
			h.Width, h.Height, MaxRatio)
	case h.Frames > 1:
		return reject(CodeAnimated, "The %s file holds several images: expected one.",
			strings.ToUpper(h.Format))
	}
	return nil
}

func reject(code, format string, values ...any) error {
	return &Rejected{Code: code, Message: fmt.Sprintf(format, values...)}
}

func corrupt(format, reason string) error {
	return reject(CodeCorrupt, "The %s file is damaged: %s.", format, reason)
}

// grouped writes a number that is not negative with a comma before every three digits.
func grouped(number int) string {
	digits := strconv.Itoa(number)
	for at := len(digits) - 3; at > 0; at -= 3 {
		digits = digits[:at] + "," + digits[at:]
	}
	return digits
}

// Megabytes writes bytes as millions of bytes with one digit, rounded down.
func Megabytes(length int) string {
	return fmt.Sprintf("%d.%d", length/1_000_000, length/100_000%10)
}

// bigEndian16 reads the two bytes at a position; where the data ends before, what is there counts
// as the whole number.
func bigEndian16(data []byte, at int) int {
	switch field := data[min(at, len(data)):]; len(field) {
	case 0:
		return 0
	case 1:
		return int(field[0])
	default:
		return int(binary.BigEndian.Uint16(field))
	}
}
