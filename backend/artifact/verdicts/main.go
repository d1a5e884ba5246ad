// Command verdicts prints what this program says of contracts, or with the argument graph of
// graphs, so that tests can compare it with other programs.
//
// It reads texts of contract.json, or contents of saved_model.pb, from standard input, each one
// behind its length (4 bytes, big-endian), and prints a line for each: ok, or the code of the
// refusal and what it says.
package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"cnnlab/backend/artifact"
)

func main() {
	verdict := ofContract
	if len(os.Args) > 1 && os.Args[1] == "graph" {
		verdict = ofGraph
	}
	if err := run(os.Stdin, os.Stdout, verdict); err != nil {
		fmt.Fprintln(os.Stderr, "verdicts:", err)
		os.Exit(1)
	}
}

func run(input io.Reader, output io.Writer, verdict func([]byte) string) error {
	in, out := bufio.NewReader(input), bufio.NewWriter(output)
	for {
		var length uint32
		if err := binary.Read(in, binary.BigEndian, &length); errors.Is(err, io.EOF) {
			return out.Flush()
		} else if err != nil {
			return fmt.Errorf("length of a text: %w", err)
		}
		text := make([]byte, length)
		if _, err := io.ReadFull(in, text); err != nil {
			return fmt.Errorf("text of %d bytes: %w", length, err)
		}
		if _, err := fmt.Fprintln(out, verdict(text)); err != nil {
			return err
		}
	}
}

func ofGraph(content []byte) string {
	if err := artifact.CheckGraph(content); err != nil {
		return fmt.Sprintf("%s %q", artifact.CodeForeign, err)
	}
	return "ok"
}

func ofContract(text []byte) string {
	_, err := artifact.Parse(text, "/models/lab")
	var refused *artifact.Refused
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &refused):
		return fmt.Sprintf("%s %q", refused.Code, err)
	}
	return fmt.Sprintf("error %q", err)
}
