package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// Codes of a Refused, the same as in Python.
const (
	CodeDamaged     = "damaged"              // a file is not what the contract says, or that was edited
	CodeUnsupported = "unsupported_contract" // a later version wrote it
	CodeInvalid     = "invalid_contract"     // an entry is missing, unknown, mistyped or out of range
)

// Refused says why nothing is loaded from a model folder.
type Refused struct {
	Code   string
	Folder string // the model folder
	Name   string // the file, relative to it
	What   string // what is wrong with it
}

func damaged(folder, name, what string) *Refused { return &Refused{CodeDamaged, folder, name, what} }

// Error returns one sentence that names the file, and what to do.
func (r *Refused) Error() string {
	if r.Code == CodeDamaged {
		return fmt.Sprintf("%s in %s %s: copy or save the model again.", r.Name, r.Folder, r.What)
	}
	return fmt.Sprintf("%s in %s: %s. Use the version of cnnlab that wrote it, or save the model again.",
		r.Name, r.Folder, r.What)
}

// checkSeal compares every file below a folder with the SHA-256 it should have. Nothing may be
// missing, changed, extra or anything but a regular file; the file leaveOut does not count. It
// returns the size of all files together.
func checkSeal(folder string, expected map[string]string, leaveOut string) (int64, error) {
	found, err := sealedNames(folder, leaveOut)
	if err != nil {
		return 0, err
	}
	names := slices.Clone(found)
	for name := range expected {
		if !slices.Contains(found, name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var total int64
	for _, name := range names {
		digest, listed := expected[name]
		switch {
		case !slices.Contains(found, name):
			return 0, damaged(folder, name, "is missing")
		case !listed:
			return 0, damaged(folder, name, "is not listed in the contract")
		}
		actual, size, err := fileDigest(folder, name)
		if err != nil {
			return 0, err
		}
		if actual != digest {
			return 0, damaged(folder, name, "was changed")
		}
		total += size
	}
	return total, nil
}

// sealedNames returns the path, with slashes, of every file below a folder but leaveOut.
func sealedNames(folder, leaveOut string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			return nil
		}
		relative, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		name := filepath.ToSlash(relative)
		if !entry.Type().IsRegular() {
			return damaged(folder, name, "is not a regular file")
		}
		if name != leaveOut {
			names = append(names, name)
		}
		return nil
	})
	return names, err
}

// fileDigest returns the SHA-256 of a file, hexadecimal, and its size.
func fileDigest(folder, name string) (string, int64, error) {
	file, err := openRegular(folder, name)
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	hash := sha256.New()
	size, err := io.Copy(hash, file)
	if err != nil {
		return "", 0, fmt.Errorf("reading %s in %s: %w", name, folder, err)
	}
	return hex.EncodeToString(hash.Sum(nil)), size, nil
}

// fileContains reports whether the bytes occur in a file; its content is not held in memory.
func fileContains(folder, name string, wanted []byte) (bool, error) {
	file, err := openRegular(folder, name)
	if err != nil {
		return false, err
	}
	defer file.Close()
	window := make([]byte, 0, len(wanted)+1<<20)
	for {
		count, err := file.Read(window[len(window):cap(window)])
		window = window[:len(window)+count]
		switch {
		case bytes.Contains(window, wanted):
			return true, nil
		case errors.Is(err, io.EOF):
			return false, nil
		case err != nil:
			return false, fmt.Errorf("reading %s in %s: %w", name, folder, err)
		}
		if kept := len(wanted) - 1; len(window) > kept { // the start of it may have been read
			window = window[:copy(window, window[len(window)-kept:])]
		}
	}
}

// openRegular opens a file for reading; never through a link, and without waiting for a FIFO.
func openRegular(folder, name string) (*os.File, error) {
	flags := os.O_RDONLY | syscall.O_NOFOLLOW | syscall.O_NONBLOCK
	file, err := os.OpenFile(filepath.Join(folder, filepath.FromSlash(name)), flags, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, damaged(folder, name, "is missing")
	}
	if err != nil {
		return nil, damaged(folder, name, fmt.Sprintf("cannot be read (%v)", errors.Unwrap(err)))
	}
	info, err := file.Stat()
	if err != nil || !info.Mode().IsRegular() {
		file.Close()
		return nil, damaged(folder, name, "is not a regular file")
	}
	return file, nil
}
