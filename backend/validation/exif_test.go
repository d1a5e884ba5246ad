package validation

import (
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

type entry struct {
	tag, kind uint16
	count     uint32
	value     uint16
}

// turn is the entry that says how to turn the picture.
func turn(value uint16) entry { return entry{tagOrientation, typeShort, 1, value} }

// tiff returns a TIFF structure whose first directory, of count entries, stands behind a gap.
func tiff(order binary.AppendByteOrder, gap int, count uint16, entries ...entry) string {
	data := []byte("II*\x00")
	if order == binary.AppendByteOrder(binary.BigEndian) {
		data = []byte("MM\x00*")
	}
	data = order.AppendUint32(data, uint32(8+gap))
	data = append(data, make([]byte, gap)...)
	data = order.AppendUint16(data, count)
	for _, e := range entries {
		data = order.AppendUint16(order.AppendUint16(data, e.tag), e.kind)
		data = order.AppendUint16(order.AppendUint16(order.AppendUint32(data, e.count), e.value), 0)
	}
	return string(data)
}

func exif(content string) string { return segment(0xE1, "Exif\x00\x00"+content) }

func TestOrientation(t *testing.T) {
	little, big := binary.LittleEndian, binary.BigEndian
	six := exif(tiff(little, 0, 1, turn(6)))
	app0 := segment(0xE0, "JFIF\x00")
	tests := []struct {
		name, segments string
		expected       int
	}{
		{"none", "", 1},
		{"none behind APP0", app0, 1},
		{"first", six, 6},
		{"behind APP0", app0 + six, 6},
		{"behind two APP0", app0 + app0 + six, 6},
		{"behind three APP0", app0 + app0 + app0 + six, 1},
		{"behind a comment", comment + six, 1},
		{"behind a fill byte", "\xff" + six, 1},
		{"first of two", exif(tiff(little, 0, 1, turn(3))) + six, 3},
		{"other APP1", segment(0xE1, "http://ns.adobe.com/xap/1.0/\x00") + six, 1},
		{"zero", exif(tiff(little, 0, 1, turn(0))), 1},
		{"nine", exif(tiff(little, 0, 1, turn(9))), 1},
		{"of the other byte order", exif(tiff(big, 0, 1, turn(6<<8))), 1},
		{"largest of several", exif(tiff(big, 0, 3, turn(3), turn(8), turn(6))), 8},
		{"largest is none", exif(tiff(big, 0, 2, turn(3), turn(9))), 1},
		{"another tag", exif(tiff(big, 0, 1, entry{0x0100, typeShort, 1, 6})), 1},
		{"another type", exif(tiff(big, 0, 1, entry{tagOrientation, 4, 1, 6})), 1},
		{"two values", exif(tiff(big, 0, 1, entry{tagOrientation, typeShort, 2, 6})), 1},
		{"behind other entries", exif(tiff(big, 0, 3, entry{1, 2, 3, 4}, entry{5, 6, 7, 8}, turn(6))), 6},
		{"behind the counted entries", exif(tiff(big, 0, 1, entry{1, 2, 3, 4}, turn(6))), 1},
		{"directory behind a gap", exif(tiff(big, 99, 1, turn(6))), 6},
		{"count too large", exif(tiff(big, 0, 65_535, turn(6))), 6},
		{"entry cut", exif(tiff(big, 0, 1, turn(6))[:21]), 1},
		{"directory cut", exif(tiff(big, 0, 1)[:9]), 1},
		{"empty directory", exif(tiff(big, 0, 0)), 1},
		{"no directory", exif("II*\x00\x08\x00\x00\x00"), 1},
		{"far offset", exif("II*\x00\xff\xff\xff\xff\x01\x00"), 1},
		{"offset of the last byte", exif("II*\x00\x09\x00\x00\x00\x01\x00"), 1},
		{"no TIFF", exif("XX*\x00" + tiff(little, 0, 1, turn(6))[4:]), 1},
		{"no EXIF", segment(0xE1, "Exif\x00\x01"+tiff(little, 0, 1, turn(6))), 1},
		{"nothing in the block", segment(0xE1, "Exif\x00\x00"), 1},
		{"TIFF behind the segment's end", exif("") + six[10:], 1},
		{"entry behind the segment's end", exif(six[10:20]) + six[20:], 1},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			header, err := Inspect([]byte(jpegFile(test.segments, frame(9, 9))))
			if err != nil {
				t.Fatal(err)
			}
			if header.Orientation != test.expected {
				t.Errorf("orientation %d: expected %d", header.Orientation, test.expected)
			}
		})
	}
}

func TestEveryOrientation(t *testing.T) {
	for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
		for value := uint16(1); value <= 8; value++ {
			t.Run(fmt.Sprint(order, value), func(t *testing.T) {
				data := jpegFile(exif(tiff(order, 0, 1, turn(value))), frame(40, 30))
				header, err := Inspect([]byte(data))
				expected := Header{"jpeg", 40, 30, int(value), 1}
				if err != nil || header != expected {
					t.Errorf("%+v, %v: expected %+v, stored sides included", header, err, expected)
				}
			})
		}
	}
}

// Where the file ends, however early, nothing is read behind it.
func TestOrientationOfCutFiles(t *testing.T) {
	whole := jpegStart + segment(0xE0, "JFIF\x00") + exif(tiff(binary.LittleEndian, 0, 1, turn(6)))
	for length := range len(whole) {
		if value := orientation([]byte(whole[:length])); value != 1 && length < len(whole)-2 {
			t.Errorf("cut at %d of %d bytes: orientation %d", length, len(whole), value)
		}
	}
	if value := orientation([]byte(whole)); value != 6 {
		t.Errorf("whole: orientation %d: expected 6", value)
	}
	if value := orientation([]byte(jpegStart + strings.Repeat("\xff\xe0\xff\xff", 2))); value != 1 {
		t.Errorf("APP0 reaches behind the end: orientation %d", value)
	}
}
