package validation

// What an image may be. The values are those of cnnlab/images/limits.py and headers.py, name for
// name; a test of the Python package compares them.
const (
	MaxBytes    = 10_485_760 // bytes of a file
	MaxPixels   = 25_000_000 // width × height: the decoders need up to eleven bytes for each
	MinSide     = 8          // pixels
	MaxSide     = 10_000     // pixels
	MaxRatio    = 50         // long side / short side
	MaxScans    = 50         // of a progressive JPEG: each one is a pass over all pixels
	MaxSegments = 4_096      // segments of a JPEG, chunks of a PNG: each one costs time
	MaxBrands   = 64         // compatible brands of a HEIF file: writers list up to ten
)

// The codes of a refusal: short and stable, for tables and answers to programs.
const (
	CodeEmpty         = "empty"
	CodeTooManyBytes  = "too_many_bytes"
	CodeForeignFormat = "foreign_format" // GIF, BMP, WebP, TIFF, AVIF, HEIC: only Python converts them
	CodeUnknownFormat = "unknown_format"
	CodeCorrupt       = "corrupt"
	CodeUnsupported   = "unsupported"
	CodeTooManyScans  = "too_many_scans"
	CodeSideTooSmall  = "side_too_small"
	CodeSideTooLarge  = "side_too_large"
	CodeTooManyPixels = "too_many_pixels"
	CodeAspectRatio   = "aspect_ratio"
	CodeAnimated      = "animated"
)
