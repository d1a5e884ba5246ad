// Command verdicts prints what validation says of files, so that tests can compare it with
// other programs.
//
// It reads files from standard input, each one behind its length (4 bytes, big-endian), and prints
// a line of JSON for each: code and message of a refusal, or the header.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"cnnlab/backend/validation"
)

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "verdicts:", err)
		os.Exit(1)
	}
}

func run(input io.Reader, output io.Writer) error {
	in, out := bufio.NewReader(input), bufio.NewWriter(output)
	lines := json.NewEncoder(out)
	for {
		var length uint32
		if err := binary.Read(in, binary.BigEndian, &length); errors.Is(err, io.EOF) {
			return out.Flush()
		} else if err != nil {
			return fmt.Errorf("length of a file: %w", err)
		}
		data := make([]byte, length)
		if _, err := io.ReadFull(in, data); err != nil {
			return fmt.Errorf("file of %d bytes: %w", length, err)
		}
		if err := lines.Encode(verdict(data)); err != nil {
			return err
		}
	}
}

func verdict(data []byte) any {
	header, err := validation.Inspect(data)
	var rejected *validation.Rejected
	if errors.As(err, &rejected) {
		return rejected
	}
	return header
}
