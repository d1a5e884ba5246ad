package server

import (
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"golang.org/x/sync/semaphore"

	"cnnlab/backend/validation"
)

const (
	field        = "image"
	multipartTop = 64 << 10  // bytes that boundaries and headers of a form may take
	partHead     = 4 << 10   // bytes from the end of one part to the content of the next
	formMemory   = 192 << 10 // bytes that reading a form takes beside its contents, at most
	maxBoundary  = 70        // characters (RFC 2046, section 5.1.1)
	firstBuffer  = 16 << 10  // bytes, for a body of unknown size
	trusted      = 64 << 10  // bytes that are set aside because a client announces them
)

// loan is what the bodies of one request, or its answer, hold.
type loan struct {
	from *semaphore.Weighted
	size int64
}

func (l *loan) take(size int64) error {
	if !l.from.TryAcquire(size) {
		return newProblem(http.StatusServiceUnavailable, "overloaded",
			"Too many images are being received: try again in a moment.")
	}
	l.size += size
	return nil
}

func (l *loan) giveBack(size int64) {
	l.from.Release(size)
	l.size -= size
}

func (l *loan) repay() { l.giveBack(l.size) }

// answer sends what was found in place of the images, and is counted as they were: with many
// labels it is no smaller, and a client may read it slowly.
func (l *loan) answer(w http.ResponseWriter, value any) error {
	l.repay()
	text, err := asJSON(value)
	if err != nil {
		return err
	}
	if err := l.take(int64(cap(text))); err != nil {
		return err
	}
	writeText(w, http.StatusOK, text)
	return nil
}

// read returns all of a body; announced is its size, -1 where that is unknown.
func (l *loan) read(body io.Reader, announced int64) ([]byte, error) {
	size := int64(firstBuffer)
	if announced >= 0 {
		size = min(announced+1, trusted) // one more, so that the end is seen without growing
	}
	if err := l.take(size); err != nil {
		return nil, err
	}
	content := make([]byte, 0, size)
	for {
		count, err := body.Read(content[len(content):cap(content)])
		content = content[:len(content)+count]
		switch {
		case len(content) > validation.MaxBytes:
			return nil, tooLarge(validation.MaxBytes)
		case errors.Is(err, io.EOF):
			return content, nil
		case err != nil:
			return nil, err
		case int64(len(content)) == size:
			grown := min(2*size, validation.MaxBytes+1)
			if err := l.take(grown); err != nil { // for a moment there are both
				return nil, err
			}
			content = append(make([]byte, 0, grown), content...)
			l.giveBack(size)
			size = grown
		}
	}
}

// upload is one image as the client sent it.
type upload struct {
	name    string // of the file, from a form; never to be trusted
	content []byte
	refused *problem // why there is no content
}

// single returns the one image of a request: its body, or the field "image" of a form.
func (l *loan) single(w http.ResponseWriter, r *http.Request) (upload, error) {
	kind, boundary, err := contentType(r)
	switch {
	case err != nil:
		return upload{}, err
	case kind == formType:
		uploads, err := l.form(w, r, boundary, 1, validation.MaxBytes+multipartTop)
		if err != nil {
			return upload{}, err
		}
		if refused := uploads[0].refused; refused != nil {
			return uploads[0], refused
		}
		return uploads[0], nil
	case kind == "" || kind == "application/octet-stream" || strings.HasPrefix(kind, "image/"):
		announced, err := l.decode(w, r, validation.MaxBytes)
		if err != nil {
			return upload{}, err
		}
		content, err := l.read(r.Body, announced)
		return upload{content: content}, readingError(err)
	}
	return upload{}, unsupportedType(kind, "application/octet-stream, image/* or "+formType)
}

// several returns the images of a form, in order.
func (l *loan) several(
	w http.ResponseWriter, r *http.Request, most int, limit int64,
) ([]upload, error) {
	kind, boundary, err := contentType(r)
	if err != nil {
		return nil, err
	}
	if kind != formType {
		return nil, unsupportedType(kind, formType+" with the images")
	}
	return l.form(w, r, boundary, most, limit)
}

const formType = "multipart/form-data"

// form reads the fields "image" of a form, from the connection straight into memory.
func (l *loan) form(
	w http.ResponseWriter, r *http.Request, boundary string, most int, limit int64,
) ([]upload, error) {
	if boundary == "" || len(boundary) > maxBoundary {
		return nil, malformed("The form names no boundary of 1 to %d characters.", maxBoundary)
	}
	if _, err := l.decode(w, r, limit); err != nil {
		return nil, err
	}
	if err := l.take(formMemory); err != nil {
		return nil, err
	}
	var uploads []upload
	body := &portion{from: r.Body}
	for parts := multipart.NewReader(body, boundary); ; {
		body.left = partHead
		part, err := parts.NextRawPart()
		body.left = math.MaxInt64
		switch {
		case errors.Is(err, io.EOF) && len(uploads) > 0:
			return uploads, ended(r.Body)
		case errors.Is(err, io.EOF):
			return nil, malformed("The form is empty: expected a file in the field %q.", field)
		case err != nil:
			return nil, readingError(err)
		case part.FormName() != field:
			return nil, otherField(part.FormName())
		case len(uploads) == most:
			return nil, tooManyImages(r.URL.Path, most)
		}
		received, err := l.part(part)
		if err != nil {
			return nil, readingError(err)
		}
		uploads = append(uploads, received)
	}
}

// ended reads a compressed form to its end: what is behind the last part is no image, but whether the
// form came whole is only told there.
func ended(body io.Reader) error {
	if packed, is := body.(*gunzipped); is {
		_, err := io.Copy(io.Discard, packed)
		return readingError(err)
	}
	return nil
}

func otherField(name string) *problem {
	switch name {
	case "":
		return malformed("The form has a field without a name; expected '%s'.", field)
	case topName:
		return malformed("The form has the field '%s'; expected it in the address: ?%[1]s=3.", topName)
	}
	return malformed("The form has the field '%s'; expected '%s'.", escaped(name), field)
}

func tooManyImages(path string, most int) *problem {
	message := fmt.Sprintf("The form holds more than %d images: send them in several requests.", most)
	if path == pathPredict {
		message = "The form holds more than one image: send several to " + pathBatch + "."
	}
	return newProblem(http.StatusRequestEntityTooLarge, "too_many_images", "%s", message)
}

// part reads one image of a form; one that is too large is passed over, for the sake of the others.
func (l *loan) part(part *multipart.Part) (upload, error) {
	name := part.FileName()
	received := upload{name: strings.Clone(name[:min(len(name), maxName)])} // without the part's headers
	content, err := l.read(part, -1)
	if large := (*problem)(nil); errors.As(err, &large) && large.Code == validation.CodeTooManyBytes {
		received.refused = large
		_, err = io.Copy(io.Discard, part)
		return received, err
	}
	received.content = content
	return received, err
}

// portion is a body of which only so much may be read for now: mime/multipart itself would keep ten
// megabytes of a part's headers.
type portion struct {
	from io.Reader
	left int64
}

// Read fails where more is wanted than may be read.
func (p *portion) Read(buffer []byte) (int, error) {
	if p.left == 0 {
		return 0, malformed("The headers of a part are too long: at most %d bytes are read.", partHead)
	}
	count, err := p.from.Read(buffer[:min(int64(len(buffer)), p.left)])
	p.left -= int64(count)
	return count, err
}

// limitBody refuses a body that announces too much, and cuts off one that sends too much.
func limitBody(w http.ResponseWriter, r *http.Request, limit int64) error {
	if r.ContentLength > limit {
		return tooLarge(limit)
	}
	r.Body = http.MaxBytesReader(w, r.Body, limit)
	return nil
}

// contentType returns the media type of a request, "" where it names none, and a form's boundary.
func contentType(r *http.Request) (kind, boundary string, err error) {
	header := r.Header.Get("Content-Type")
	if header == "" {
		return "", "", nil
	}
	kind, parameters, err := mime.ParseMediaType(header)
	if err != nil {
		return "", "", newProblem(http.StatusUnsupportedMediaType, "unsupported_content_type",
			"The header Content-Type cannot be read.")
	}
	return kind, parameters["boundary"], nil
}

func unsupportedType(kind, expected string) *problem {
	return newProblem(http.StatusUnsupportedMediaType, "unsupported_content_type",
		"Bodies of type %q are not read: expected %s.", escaped(kind), expected)
}

// readingError returns an error as it is where it says more than that the body is no good.
func readingError(err error) error {
	if err == nil || asProblem(err).status != http.StatusInternalServerError {
		return err
	}
	return errors.Join(malformed("The body ends early or is not what its headers say."),
		fmt.Errorf("reading the body: %w", err))
}
