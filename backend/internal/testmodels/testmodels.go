// Package testmodels makes model folders, images and the answers that the Python package gives, for
// the tests that need a real model.
package testmodels

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

//go:embed make.py
var program string

// Models is a folder that make.py filled.
type Models struct{ Folder string }

// Main makes the models, runs the tests of a package and removes the models again. Where the
// environment variable CNNLAB_TEST_MODELS names a folder that was filled before, that one is used.
func Main(tests *testing.M, models *Models) {
	status, err := run(tests, models)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		status = 1
	}
	os.Exit(status)
}

func run(tests *testing.M, models *Models) (status int, err error) {
	models.Folder = os.Getenv("CNNLAB_TEST_MODELS")
	if models.Folder == "" {
		folder, err := os.MkdirTemp("", "cnnlab-models-")
		if err != nil {
			return 1, err
		}
		defer os.RemoveAll(folder)
		if err := fill(folder); err != nil {
			return 1, err
		}
		models.Folder = folder
	}
	return tests.Run(), nil
}

func fill(folder string) error {
	root, err := os.Getwd()
	for err == nil {
		python := filepath.Join(root, ".venv", "bin", "python")
		if _, missing := os.Stat(python); missing == nil {
			command := exec.Command(python, "-W", "ignore", "-c", program, folder)
			command.Dir = root
			if output, err := command.CombinedOutput(); err != nil {
				return fmt.Errorf("making the models: %w\n%s", err, output)
			}
			return nil
		}
		if root == filepath.Dir(root) {
			return fmt.Errorf("no .venv found above the package: make setup makes it")
		}
		root = filepath.Dir(root)
	}
	return err
}

// Path returns the path of a file or folder among the models.
func (m *Models) Path(names ...string) string {
	return filepath.Join(append([]string{m.Folder}, names...)...)
}

// Image returns the content of an image.
func (m *Models) Image(t testing.TB, name string) []byte {
	t.Helper()
	content, err := os.ReadFile(m.Path("images", name))
	if err != nil {
		t.Fatal(err)
	}
	return content
}

// Answers returns what Python says of each image for the model of a name: the JSON of its
// prediction, or the code of its refusal.
func (m *Models) Answers(t testing.TB, model string) map[string]json.RawMessage {
	t.Helper()
	content, err := os.ReadFile(m.Path("answers.json"))
	if err != nil {
		t.Fatal(err)
	}
	var answers map[string]map[string]json.RawMessage
	if err := json.Unmarshal(content, &answers); err != nil {
		t.Fatal(err)
	}
	return answers[model]
}

// Copy returns the path of a copy of a model that the test may damage.
func (m *Models) Copy(t testing.TB, model string) string {
	t.Helper()
	folder := filepath.Join(t.TempDir(), "model")
	if err := os.CopyFS(folder, os.DirFS(m.Path(model))); err != nil {
		t.Fatal(err)
	}
	return folder
}
