package validation

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image/jpeg"
	"image/png"
	"runtime"
	"testing"
)

const maxAlloc = 16 << 10 // bytes: a header and a message need a fraction

// FuzzInspect looks for bytes that make Inspect panic, allocate, change them or contradict itself,
// or Go's own decoders.
func FuzzInspect(f *testing.F) {
	for _, test := range verdicts {
		if len(test.data) < 1<<10 { // the fuzzer makes long ones shorter for minutes
			f.Add([]byte(test.data))
		}
	}
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for _, directory := range []string{
			tiff(order, 0, 1, turn(6)), tiff(order, 3, 9, entry{1, 2, 3, 4}, turn(3), turn(8)),
		} {
			f.Add([]byte(jpegFile(exif(directory), frame(40, 30), jpegScan)))
			f.Add([]byte(jpegFile(segment(0xE0, "JFIF\x00"), exif(directory), frame(40, 30))))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		before := bytes.Clone(data)
		header, err := Inspect(data)
		if !bytes.Equal(data, before) {
			t.Fatal("the data was changed")
		}
		if allocated := allocated(data); allocated > maxAlloc {
			t.Errorf("%d bytes allocated: expected at most %d", allocated, maxAlloc)
		}
		if err != nil {
			checkRefusal(t, data, header, err)
			return
		}
		checkAccepted(t, header)
		checkOracle(t, data, header)
		longer, err := Inspect(append(before, jpegStart+jpegScan+frame(1, 1)+frames(9)...))
		if len(before) < MaxBytes-99 && (err != nil || longer != header) {
			t.Errorf("with more behind its end: %+v, %v: expected %+v", longer, err, header)
		}
	})
}

// allocated returns how many bytes Inspect allocates: the least of three times, because the
// runtime allocates, too.
func allocated(data []byte) uint64 {
	least := ^uint64(0)
	var before, after runtime.MemStats
	for range 3 {
		runtime.ReadMemStats(&before)
		_, _ = Inspect(data)
		runtime.ReadMemStats(&after)
		if least = min(least, after.TotalAlloc-before.TotalAlloc); least <= maxAlloc {
			break
		}
	}
	return least
}

func checkRefusal(t *testing.T, data []byte, header Header, err error) {
	t.Helper()
	if header != (Header{}) {
		t.Errorf("refused, yet with the header %+v", header)
	}
	var rejected *Rejected
	if !errors.As(err, &rejected) || rejected.Code == "" || rejected.Message == "" {
		t.Errorf("%#v: expected a *Rejected with code and message", err)
	}
	if _, again := Inspect(data); again == nil || *again.(*Rejected) != *rejected {
		t.Errorf("refused with %v, then with %v", err, again)
	}
}

func checkAccepted(t *testing.T, header Header) {
	t.Helper()
	short, long := min(header.Width, header.Height), max(header.Width, header.Height)
	if short < MinSide || long > MaxSide || short*long > MaxPixels || long > MaxRatio*short ||
		header.Frames != 1 || header.Orientation < 1 || header.Orientation > 8 {
		t.Errorf("accepted beyond the limits: %+v", header)
	}
}

// checkOracle compares with Go's own readers of headers. They refuse more; what they read must be
// the same.
func checkOracle(t *testing.T, data []byte, header Header) {
	t.Helper()
	read := map[string]func() (int, int, error){
		"jpeg": func() (int, int, error) {
			config, err := jpeg.DecodeConfig(bytes.NewReader(data))
			return config.Width, config.Height, err
		},
		"png": func() (int, int, error) {
			config, err := png.DecodeConfig(bytes.NewReader(data))
			return config.Width, config.Height, err
		},
	}[header.Format]
	width, height, err := read()
	if err == nil && (uint32(width) != header.Width || uint32(height) != header.Height) {
		t.Errorf("%d×%d: the standard library reads %d×%d", header.Width, header.Height, width, height)
	}
}
