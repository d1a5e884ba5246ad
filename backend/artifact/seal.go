package artifact

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"unicode"
)

// Codes of a Refused, the same as in Python.
const (
	CodeDamaged     = "damaged"              // a file is not what the contract says, or that was edited
	CodeUnsupported = "unsupported_contract" // a later version wrote it
	CodeInvalid     = "invalid_contract"     // an entry is missing, unknown, mistyped or out of range
	CodeForeign     = "foreign_model"        // the graph holds what no network of cnnlab does
	CodeUntrusted   = "untrusted"            // the trusted key did not sign it
)

const disagrees = "does not agree with its files"

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
	name := r.Name
	if strings.ContainsFunc(name, func(char rune) bool { return !unicode.IsPrint(char) }) {
		name = strconv.QuoteToASCII(name) // whoever made the folder chose it
	}
	switch r.Code {
	case CodeDamaged:
		return fmt.Sprintf("%s in %s %s: copy or save the model again.", name, r.Folder, r.What)
	case CodeUntrusted:
		return fmt.Sprintf("%s in %s %s: use a model that its owner signed.", name, r.Folder, r.What)
	case CodeForeign:
		return fmt.Sprintf("%s in %s: %s. No network of cnnlab has that, so nothing is loaded from here.",
			name, r.Folder, r.What)
	}
	return fmt.Sprintf("%s in %s: %s. Use the version of cnnlab that wrote it, or save the model again.",
		name, r.Folder, r.What)
}

// checkSeal compares every file below a folder with the SHA-256 it should have. Nothing may be
// missing, changed, extra or anything but a regular file; the contract itself and its signature do
// not count. The sizes come first, so that no more is read than twice what the contract states.
func checkSeal(folder string, contract *Contract) error {
	found, err := sealedSizes(folder)
	if err != nil {
		return err
	}
	var total int64
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if _, listed := contract.Files[name]; !listed {
			return damaged(folder, name, "is not listed in the contract")
		}
		total += found[name]
	}
	names := slices.Sorted(maps.Keys(contract.Files))
	for _, name := range names {
		if _, exists := found[name]; !exists {
			return damaged(folder, name, "is missing")
		}
	}
	if total > 2*contract.Bytes {
		return damaged(folder, contractName, disagrees)
	}
	for _, name := range names {
		digest, err := fileDigest(folder, name, found[name])
		if err != nil {
			return err
		}
		if digest != contract.Files[name] {
			return damaged(folder, name, "was changed")
		}
	}
	if total != contract.Bytes {
		return damaged(folder, contractName, disagrees)
	}
	return nil
}

// sealedSizes returns the size of every file below a folder but the contract and its signature, by
// its path with slashes.
func sealedSizes(folder string) (map[string]int64, error) {
	sizes, seen := map[string]int64{}, 0
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		relative, outside := filepath.Rel(folder, path)
		if outside != nil {
			return outside
		}
		name := filepath.ToSlash(relative)
		if err != nil {
			return damaged(folder, name, fmt.Sprintf("cannot be read (%v)", errors.Unwrap(err)))
		}
		if seen++; seen > mostEntries+1 { // the folder itself is one
			return damaged(folder, name, fmt.Sprintf("is one of more than %d entries", mostEntries))
		}
		if entry.IsDir() {
			return nil
		}
		if !entry.Type().IsRegular() {
			return damaged(folder, name, "is not a regular file")
		}
		if name == contractName || name == signatureName {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return damaged(folder, name, "cannot be read")
		}
		sizes[name] = info.Size()
		return nil
	})
	return sizes, err
}

// fileDigest returns the SHA-256, hexadecimal, of a file of a known size; a larger one has another.
func fileDigest(folder, name string, size int64) (string, error) {
	file, err := openRegular(folder, name)
	if err != nil {
		return "", err
	}
	defer file.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, io.LimitReader(file, size+1)); err != nil { // it may be growing
		return "", damaged(folder, name, fmt.Sprintf("cannot be read (%v)", errors.Unwrap(err)))
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
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
