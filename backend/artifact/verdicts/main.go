// Command verdicts prints what this program says of contracts, graphs or model folders, so that
// tests can compare it with other programs.
//
// It reads texts of contract.json, or with the argument graph contents of saved_model.pb, or with
// folder the paths of model folders, from standard input, each one behind its length (4 bytes,
// big-endian), and prints a line for each: ok, or the code of the refusal and what it says. Behind
// folder may stand the file of a trusted key.
package main

import (
	"bufio"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"

	"cnnlab/backend/artifact"
)

func main() {
	verdict, err := chosen(os.Args[1:])
	if err == nil {
		err = run(os.Stdin, os.Stdout, verdict)
	}
	if err != nil {
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

func chosen(args []string) (func([]byte) string, error) {
	switch {
	case len(args) == 0:
		return ofContract, nil
	case args[0] == "graph":
		return ofGraph, nil
	case args[0] == "folder" && len(args) == 1:
		return ofFolder(nil), nil
	case args[0] == "folder" && len(args) == 2:
		key, err := artifact.ReadKey(args[1])
		return ofFolder(key), err
	}
	return nil, fmt.Errorf("unexpected arguments %q", args)
}

func ofContract(text []byte) string {
	_, err := artifact.Parse(text, "/models/lab")
	return said(err)
}

func ofGraph(content []byte) string {
	if err := artifact.CheckGraph(content); err != nil {
		return fmt.Sprintf("%s %q", artifact.CodeForeign, err)
	}
	return "ok"
}

func ofFolder(key ed25519.PublicKey) func([]byte) string {
	return func(path []byte) string {
		_, err := artifact.Load(string(path), key)
		return said(err)
	}
}

func said(err error) string {
	var refused *artifact.Refused
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &refused):
		return fmt.Sprintf("%s %q", refused.Code, err)
	}
	return fmt.Sprintf("error %q", err)
}
