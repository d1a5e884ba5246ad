package validation

import (
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"slices"
	"strings"
	"testing"
)

const (
	jpegStart = "\xff\xd8"
	jpegEnd   = "\xff\xd9"
	jpegScan  = "\xff\xda\x00\x02"
	comment   = "\xff\xfe\x00\x02" // the smallest segment
	pngStart  = "\x89PNG\r\n\x1a\n"
)

// segment returns a JPEG segment: a marker, the length and what follows it.
func segment(marker byte, content string) string {
	length := binary.BigEndian.AppendUint16(nil, uint16(len(content)+2))
	return string([]byte{0xFF, marker}) + string(length) + content
}

// frame returns a frame header of three components of eight bits.
func frame(width, height int) string {
	return frameOf(0xC0, 8, 3, width, height)
}

func frameOf(marker, precision, components byte, width, height int) string {
	fields := []byte{precision}
	fields = binary.BigEndian.AppendUint16(fields, uint16(height))
	fields = binary.BigEndian.AppendUint16(fields, uint16(width))
	return segment(marker, string(append(fields, components))+"\x01\x11\x00\x02\x11\x01\x03\x11\x01")
}

// jpegFile returns a JPEG without pixels: the parts between start and end.
func jpegFile(parts ...string) string {
	return jpegStart + strings.Join(parts, "") + jpegEnd
}

// chunk returns a PNG chunk with its checksum.
func chunk(kind, content string) string {
	length := binary.BigEndian.AppendUint32(nil, uint32(len(content)))
	checksum := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE([]byte(kind+content)))
	return string(length) + kind + content + string(checksum)
}

// pngFile returns a PNG of eight-bit colours without pixels.
func pngFile(width, height uint32, chunks ...string) string {
	return pngOf(width, height, "\x08\x02\x00\x00\x00", chunks...)
}

// pngOf returns a PNG with any depth, colour type, compression, filter and interlacing.
func pngOf(width, height uint32, kind string, chunks ...string) string {
	size := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, width), height)
	return pngStart + chunk("IHDR", string(size)+kind) + strings.Join(chunks, "") +
		chunk("IDAT", "") + chunk("IEND", "")
}

// frames returns the acTL chunk of an animation.
func frames(count uint32) string {
	return chunk("acTL", string(binary.BigEndian.AppendUint32(nil, count))+"\x00\x00\x00\x00")
}

// verdict returns the code of the refusal, "" for an accepted file.
func verdict(t *testing.T, data []byte) string {
	t.Helper()
	_, err := Inspect(data)
	if err == nil {
		return ""
	}
	var rejected *Rejected
	if !errors.As(err, &rejected) {
		t.Fatalf("Inspect returned %T: expected *Rejected", err)
	}
	if rejected.Error() == "" || strings.Contains(rejected.Error(), "\n") {
		t.Errorf("message %q: expected one line", rejected.Error())
	}
	return rejected.Code
}

// verdicts are files and the codes that they must get.
var verdicts = []struct {
	name, data, code string
}{
	{"nothing", "", CodeEmpty},
	{"one byte too many", strings.Repeat("\x00", MaxBytes+1), CodeTooManyBytes},
	{"JPEG and one byte too many", jpegFile(frame(9, 9)) + strings.Repeat("\x00", MaxBytes), CodeTooManyBytes},

	{"one byte", "\xff", CodeUnknownFormat},
	{"JPEG signature cut", "\xff\xd8", CodeUnknownFormat},
	{"PNG signature cut", "\x89PNG\r\n\x1a", CodeUnknownFormat},
	{"PNG sent as text", "\x89PNG\n\x1a\n", CodeUnknownFormat},
	{"web page", "<!DOCTYPE html><html>", CodeUnknownFormat},
	{"PostScript", "%!PS-Adobe-3.0 EPSF-3.0\n", CodeUnknownFormat},
	{"JPEG behind a line break", "\n" + jpegFile(frame(9, 9)), CodeUnknownFormat},
	{"sound", "RIFF\x24\x00\x00\x00WAVEfmt ", CodeUnknownFormat},
	{"large TIFF", "II+\x00", CodeUnknownFormat},
	{"GIF 88a", "GIF88a", CodeUnknownFormat},
	{"AVIF brand cut", "\x00\x00\x00\x1cftypavi", CodeUnknownFormat},

	{"GIF 87a", "GIF87a", CodeForeignFormat},
	{"GIF 89a", "GIF89a", CodeForeignFormat},
	{"BMP", "BM", CodeForeignFormat},
	{"WebP", "RIFF\x04\x00\x00\x00WEBPVP8 ", CodeForeignFormat},
	{"WebP without length", "RIFFWEBP", CodeForeignFormat}, // Python looks at the end, too
	{"TIFF little-endian", "II*\x00", CodeForeignFormat},
	{"TIFF big-endian", "MM\x00*", CodeForeignFormat},
	{"AVIF", "\x00\x00\x00\x1cftypavif", CodeForeignFormat},
	{"AVIF sequence", "\x00\x00\x00\x1cftypavis", CodeForeignFormat},
	{"HEIF of the general brand", "\x00\x00\x00\x1cftypmif1", CodeForeignFormat},
	{"HEIC", "\x00\x00\x00\x1cftypheic", CodeForeignFormat},
	{"a film", "\x00\x00\x00\x1cftypmp42\x00\x00\x00\x00heic", CodeUnknownFormat},

	{"JPEG signature alone", "\xff\xd8\xff", CodeCorrupt},
	{"JPEG start and end", jpegFile(), CodeCorrupt},
	{"JPEG without frame", jpegFile(comment), CodeCorrupt},
	{"JPEG without end", jpegStart + frame(9, 9), CodeCorrupt},
	{"JPEG ends on 0xFF", jpegStart + frame(9, 9) + "\xff", CodeCorrupt},
	{"JPEG end inside a segment", jpegStart + frame(9, 9) + segment(0xFE, jpegEnd), CodeCorrupt},
	{"JPEG scan before its frame", jpegFile(jpegScan, frame(9, 9)), CodeCorrupt},
	{"JPEG segment of no length", jpegFile("\xff\xe0\x00\x01", frame(9, 9)), CodeCorrupt},
	{"JPEG second start", jpegFile(frame(9, 9), "\xff\xd8\x00\x02"), CodeCorrupt},
	{"JPEG length cut to nothing", jpegStart + "\xff\xc3", CodeCorrupt},
	{"JPEG frame cut", jpegStart + "\xff\xc0\x00\x11\x08\x00\x09\x00\x09", CodeCorrupt},
	{"JPEG frame reaches behind the end", jpegStart + frame(9, 9)[:10] + jpegEnd, CodeCorrupt},
	{"JPEG most segments", jpegFile(frame(9, 9), strings.Repeat(comment, MaxSegments-2)), ""},
	{"JPEG one segment more", jpegFile(frame(9, 9), strings.Repeat(comment, MaxSegments-1)), CodeCorrupt},
	{"JPEG segment as long as can be", jpegFile(segment(0xFE, strings.Repeat("\xff", 65_533)), frame(9, 9)), ""},

	{"JPEG lossless", jpegFile(frameOf(0xC3, 8, 3, 9, 9)), CodeUnsupported},
	{"JPEG arithmetic", jpegFile(frameOf(0xC9, 8, 3, 9, 9)), CodeUnsupported},
	{"JPEG lossless, length cut", jpegStart + "\xff\xc3\x05", CodeUnsupported},
	{"JPEG lossless, without end", jpegStart + frameOf(0xCF, 8, 3, 9, 9), CodeUnsupported},
	{"JPEG of 12 bits", jpegFile(frameOf(0xC1, 12, 3, 9, 9)), CodeUnsupported},
	{"JPEG of 12 bits, cut behind its size", jpegStart + frameOf(0xC1, 12, 3, 9, 9)[:10], CodeUnsupported},
	{"JPEG of no component", jpegFile(frameOf(0xC0, 8, 0, 9, 9)), CodeUnsupported},
	{"JPEG of two components", jpegFile(frameOf(0xC0, 8, 2, 9, 9)), CodeUnsupported},
	{"JPEG of five components", jpegFile(frameOf(0xC0, 8, 5, 9, 9)), CodeUnsupported},
	{"JPEG unsupported before its size", jpegFile(frameOf(0xC3, 8, 3, 1, 1)), CodeUnsupported},
	{"JPEG grey", jpegFile(frameOf(0xC0, 8, 1, 9, 9)), ""},
	{"JPEG of four components", jpegFile(frameOf(0xC1, 8, 4, 9, 9)), ""},
	{"JPEG progressive", jpegFile(frameOf(0xC2, 8, 3, 9, 9)), ""},
	{"JPEG tables are no frame", jpegFile(segment(0xC4, ""), segment(0xC8, ""), segment(0xCC, ""), frame(9, 9)), ""},
	{"JPEG first frame counts", jpegFile(frame(9, 9), frameOf(0xC3, 8, 3, 1, 1)), ""},
	{"JPEG fill and restart markers", jpegFile("\xff\xff\xff", frame(9, 9), "\xff\xd0\xff\xd7\xff\x00\xff\x01"), ""},

	{"JPEG most scans", jpegFile(frame(9, 9), strings.Repeat(jpegScan, MaxScans)), ""},
	{"JPEG one scan more", jpegFile(frame(9, 9), strings.Repeat(jpegScan, MaxScans+1)), CodeTooManyScans},
	{"JPEG scans without end", jpegStart + frame(9, 9) + strings.Repeat(jpegScan, MaxScans+1), CodeTooManyScans},
	{"JPEG scans behind the end", jpegFile(frame(9, 9)) + strings.Repeat(jpegScan, MaxScans+1), ""},
	{"JPEG scans before its size", jpegFile(frame(1, 1), strings.Repeat(jpegScan, MaxScans+1)), CodeTooManyScans},

	{"PNG signature alone", pngStart, CodeCorrupt},
	{"PNG header cut", pngFile(9, 9)[:32], CodeCorrupt},
	{"PNG header alone", pngFile(9, 9)[:33], CodeCorrupt},
	{"PNG of another first chunk", pngStart + chunk("tEXt", "thirteen byte") + chunk("IDAT", ""), CodeCorrupt},
	{"PNG header of another length", pngStart + "\x00\x00\x00\x0e" + pngFile(9, 9)[12:], CodeCorrupt},
	{"PNG wrong checksum", strings.Replace(pngFile(9, 9), "\x08\x02", "\x08\x06", 1), CodeCorrupt},
	{"PNG data cut", pngFile(9, 9)[:33+11], CodeCorrupt},
	{"PNG data begins", pngFile(9, 9)[:33+12], ""},
	{"PNG chunk reaches behind the end", pngFile(9, 9, "\xff\xff\xff\xfftEXt"), CodeCorrupt},
	{"PNG compression 1", pngOf(9, 9, "\x08\x02\x01\x00\x00"), CodeCorrupt},
	{"PNG filter 1", pngOf(9, 9, "\x08\x02\x00\x01\x00"), CodeCorrupt},
	{"PNG interlaced", pngOf(9, 9, "\x08\x02\x00\x00\x01"), ""},
	{"PNG interlacing 2", pngOf(9, 9, "\x08\x02\x00\x00\x02"), CodeCorrupt},
	{"PNG kind before its size", pngOf(1, 1, "\x08\x02\x00\x00\x02"), CodeCorrupt},
	{"PNG most chunks", pngFile(9, 9, strings.Repeat(chunk("tEXt", ""), MaxSegments-1)), ""},
	{"PNG one chunk more", pngFile(9, 9, strings.Repeat(chunk("tEXt", ""), MaxSegments)), CodeCorrupt},

	{"PNG of no frame", pngFile(9, 9, frames(0)), ""},
	{"PNG of one frame", pngFile(9, 9, frames(1)), ""},
	{"PNG of two frames", pngFile(9, 9, frames(2)), CodeAnimated},
	{"PNG of very many frames", pngFile(9, 9, frames(1<<32-1)), CodeAnimated},
	{"PNG last number of frames counts", pngFile(9, 9, frames(2), frames(1)), ""},
	{"PNG frames behind the data", pngFile(9, 9, chunk("IDAT", ""), frames(2)), ""},
	{"PNG animated thread", pngFile(8, 401, frames(2)), CodeAspectRatio},

	{"PNG of no width", pngFile(0, 9), CodeSideTooSmall},
	{"PNG wide beyond 31 bits", pngFile(1<<32-1, 1<<32-1), CodeSideTooLarge},
	{"PNG wide and too small", pngFile(1<<32-1, 7), CodeSideTooSmall},
	{"JPEG of no height", jpegFile(frame(9, 0)), CodeSideTooSmall},
	{"JPEG bomb", jpegFile(frame(65_535, 65_535)), CodeSideTooLarge},
}

func TestVerdicts(t *testing.T) {
	for _, test := range verdicts {
		t.Run(test.name, func(t *testing.T) {
			if code := verdict(t, []byte(test.data)); code != test.code {
				t.Errorf("code %q: expected %q", code, test.code)
			}
		})
	}
}

func TestEveryCodeIsTested(t *testing.T) {
	codes := []string{
		CodeEmpty, CodeTooManyBytes, CodeForeignFormat, CodeUnknownFormat, CodeCorrupt,
		CodeUnsupported, CodeTooManyScans, CodeSideTooSmall, CodeSideTooLarge, CodeTooManyPixels,
		CodeAspectRatio, CodeAnimated,
	}
	var seen []string
	for _, test := range verdicts {
		seen = append(seen, test.code)
	}
	for _, test := range sizes {
		seen = append(seen, test.code)
	}
	for _, code := range codes {
		if !slices.Contains(seen, code) {
			t.Errorf("no file is refused with %q", code)
		}
	}
}

// sizes are the limits: at each one, and one over.
var sizes = []struct {
	width, height int
	code          string
}{
	{8, 8, ""},
	{7, 8, CodeSideTooSmall},
	{8, 7, CodeSideTooSmall},
	{8, 400, ""},
	{400, 8, ""},
	{8, 401, CodeAspectRatio},
	{401, 8, CodeAspectRatio},
	{10_000, 2_500, ""},
	{2_500, 10_000, ""},
	{10_001, 2_000, CodeSideTooLarge},
	{2_000, 10_001, CodeSideTooLarge},
	{5_000, 5_000, ""},
	{5_001, 5_000, CodeTooManyPixels},
	{10_000, 2_501, CodeTooManyPixels},
	{10_001, 7, CodeSideTooSmall},
	{10_001, 10_001, CodeSideTooLarge},
	{10_000, 8, CodeAspectRatio},
}

func TestLimitsAreExact(t *testing.T) {
	for _, test := range sizes {
		files := map[string]string{
			"jpeg": jpegFile(frame(test.width, test.height)),
			"png":  pngFile(uint32(test.width), uint32(test.height)),
		}
		for format, data := range files {
			if code := verdict(t, []byte(data)); code != test.code {
				t.Errorf("%s of %d×%d: code %q: expected %q",
					format, test.width, test.height, code, test.code)
			}
			header, err := Inspect([]byte(data))
			expected := Header{format, uint32(test.width), uint32(test.height), 1, 1}
			if err == nil && header != expected {
				t.Errorf("header %+v: expected %+v", header, expected)
			}
		}
	}
}

func TestLargestFile(t *testing.T) {
	data := bytes.Repeat([]byte{0xFF}, MaxBytes)
	copy(data, jpegFile(frame(9, 9)))
	if code := verdict(t, data); code != "" {
		t.Errorf("a file of %d bytes: code %q", len(data), code)
	}
}

func TestAcceptingAllocatesNothing(t *testing.T) {
	for _, file := range []string{jpegFile(exif(""), frame(9, 9), jpegScan), pngFile(9, 9)} {
		data := []byte(file)
		if count := testing.AllocsPerRun(10, func() { _, _ = Inspect(data) }); count != 0 {
			t.Errorf("%.0f allocations for a file of %d bytes", count, len(data))
		}
	}
}

func TestEveryKindOfPNG(t *testing.T) {
	// PNG 1.2, 4.1.1: colour type → bit depths.
	depths := map[byte][]byte{0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
	for colour := range 256 {
		for depth := range 256 {
			expected := CodeCorrupt
			if slices.Contains(depths[byte(colour)], byte(depth)) {
				expected = ""
			}
			kind := string([]byte{byte(depth), byte(colour), 0, 0, 0})
			if code := verdict(t, []byte(pngOf(9, 9, kind))); code != expected {
				t.Errorf("colour %d, depth %d: code %q: expected %q", colour, depth, code, expected)
			}
		}
	}
}

func TestMessages(t *testing.T) {
	for _, test := range []struct{ data, message string }{
		{jpegFile(frame(9_000, 9_000)), "The image is 9000×9000 pixels: at most 25,000,000 are accepted of JPEG."},
		{"BM", "This is BMP, and this server reads JPEG and PNG: convert the image to JPEG."},
		{"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00mif1heic",
			"This is HEIC, and this server reads JPEG and PNG: convert the image to JPEG."},
		{"\x00\x00\x00\x14ftypmif1\x00\x00\x00\x00mif1heic",
			"This is HEIF, and this server reads JPEG and PNG: convert the image to JPEG."},
		{"\x00\x00\x00\x18ftypmif1\x00\x00\x00\x00miafavif",
			"This is AVIF, and this server reads JPEG and PNG: convert the image to JPEG."},
		{strings.Repeat("x", MaxBytes+1), "The image has 10.5 MB: at most 10.4 are accepted."},
	} {
		if _, err := Inspect([]byte(test.data)); err == nil || err.Error() != test.message {
			t.Errorf("message %q: expected %q", err, test.message)
		}
	}
}

func TestGrouped(t *testing.T) {
	for number, expected := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if grouped(number) != expected {
			t.Errorf("grouped(%d) = %q: expected %q", number, grouped(number), expected)
		}
	}
}

func BenchmarkInspect(b *testing.B) {
	scan := strings.Repeat("\x12\xff\x00\x34", 1<<18) // 1 MiB of data with stuffing
	for name, file := range map[string]string{
		"JPEG": jpegFile(frame(4_000, 3_000), jpegScan, scan),
		"fill": jpegFile(frame(9, 9), strings.Repeat("\xff", 10_000_000)),
		"PNG":  pngFile(4_000, 3_000),
	} {
		b.Run(name, func(b *testing.B) {
			data := []byte(file)
			b.ReportAllocs()
			for b.Loop() {
				if _, err := Inspect(data); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
