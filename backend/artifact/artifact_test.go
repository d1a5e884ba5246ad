package artifact

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	"cnnlab/backend/internal/testmodels"
)

// models are made once for all tests of the package.
var models testmodels.Models

func TestMain(m *testing.M) { testmodels.Main(m, &models) }

func TestLoad(t *testing.T) {
	artifact, err := Load(models.Path("model"), nil)
	if err != nil {
		t.Fatal(err)
	}
	contract := artifact.Contract
	if contract.ImageSize != 16 || len(contract.ClassNames) != 6 || contract.ClassNames[2] != "鼠 🐭" ||
		contract.Conformal.Threshold != 0.15 || contract.Novelty.Threshold != 0.3 {
		t.Errorf("got %+v", contract)
	}
	var public map[string]any
	if err := json.Unmarshal(artifact.Public, &public); err != nil {
		t.Fatal(err)
	}
	if _, listed := public["files"]; listed || public["temperature"] != 1.5 || len(public) != 11 {
		t.Errorf("the public contract is %s", artifact.Public)
	}
	expected := Preprocessing{1, "stretch", "white"}
	if contract.Preprocessing != expected || contract.Temperature != 1.5 || contract.Format != 3 {
		t.Errorf("got %+v", contract)
	}
	earlier, err := Load(models.Path("earlier"), nil)
	if err != nil {
		t.Fatal(err)
	}
	as3 := bytes.Replace(earlier.Public, []byte(`"format": 2`), []byte(`"format": 3`), 1)
	if earlier.Contract.Format != 2 || earlier.Contract.Preprocessing != expected ||
		*earlier.Contract.Conformal != *contract.Conformal || !sameButBytes(t, as3, artifact.Public) {
		t.Errorf("format 2 reads as %s: expected %s", earlier.Public, artifact.Public)
	}
	other, err := Load(models.Path("other"), nil)
	if err != nil || other.Contract.Conformal != nil || other.Contract.ModelID == contract.ModelID {
		t.Errorf("the other model: %+v, %v", other, err)
	}
}

func TestTheFolderItselfMayBeALink(t *testing.T) {
	link := filepath.Join(t.TempDir(), "current")
	if err := os.Symlink(models.Path("model"), link); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(link, nil); err != nil {
		t.Error(err)
	}
}

func TestNoArtifact(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{file, file + "s", t.TempDir()} {
		if artifact, err := Load(path, nil); err == nil {
			t.Errorf("%s was loaded: %+v", path, artifact)
		}
	}
}

// Whatever is done to any file, the model is refused and the file is named.
func TestDamagedArtifact(t *testing.T) {
	rename := func(from, to string) func(*testing.T, string) {
		return func(t *testing.T, folder string) {
			must(t, os.Rename(filepath.Join(folder, from), filepath.Join(folder, to)))
		}
	}
	contract := func(old, new string) func(*testing.T, string) {
		return func(t *testing.T, folder string) { replace(t, filepath.Join(folder, contractName), old, new) }
	}
	const pb = "saved_model/saved_model.pb"
	for _, test := range []struct {
		name, file string
		damage     func(*testing.T, string)
	}{
		{"a byte of the graph", pb, flip(pb)},
		{"a byte of the weights", "saved_model/variables/variables.data-00000-of-00001",
			flip("saved_model/variables/variables.data-00000-of-00001")},
		{"a byte of the card", "card.md", flip("card.md")},
		{"a byte of the network", h5Name, flip(h5Name)},
		{"missing", pb, func(t *testing.T, folder string) { must(t, os.Remove(filepath.Join(folder, pb))) }},
		{"renamed", "a.md", rename("card.md", "a.md")},
		{"extra", "saved_model/extra", func(t *testing.T, folder string) {
			must(t, os.WriteFile(filepath.Join(folder, "saved_model/extra"), nil, 0o600))
		}},
		{"link", "card.md", func(t *testing.T, folder string) {
			must(t, os.Remove(filepath.Join(folder, "card.md")))
			must(t, os.Symlink(models.Path("model", "card.md"), filepath.Join(folder, "card.md")))
		}},
		{"linked folder", "saved_model", func(t *testing.T, folder string) {
			must(t, os.RemoveAll(filepath.Join(folder, "saved_model")))
			must(t, os.Symlink(models.Path("model", "saved_model"), filepath.Join(folder, "saved_model")))
		}},
		{"pipe", "pipe", func(t *testing.T, folder string) {
			must(t, syscall.Mkfifo(filepath.Join(folder, "pipe"), 0o600))
		}},
		{"no contract", contractName, rename(contractName, "contract.jsn")},
		{"piped contract", contractName, func(t *testing.T, folder string) {
			must(t, os.Remove(filepath.Join(folder, contractName)))
			must(t, syscall.Mkfifo(filepath.Join(folder, contractName), 0o600))
		}},
		{"temperature", contractName, contract(`"temperature": 1.5`, `"temperature": 1.6`)},
		{"threshold", contractName, contract(`"threshold": 0.15`, `"threshold": 0.16`)},
		{"labels", contractName, contract(`"zebra"`, `"zebrb"`)},
		{"spacing", contractName, contract(`"temperature": 1.5`, `"temperature":  1.5`)},
		{"another way to write it", contractName, contract(`"temperature": 1.5`, `"temperature": 1.50`)},
		{"a key twice", contractName,
			contract(`"temperature": 1.5`, "\"temperature\": 1.5,\n  \"temperature\": 1.5")},
		{"size", contractName, contract(`"bytes": `, `"bytes": 1`)},
		{"no JSON", contractName, contract(`{`, `[`)},
		{"JSON of another kind", contractName, func(t *testing.T, folder string) {
			must(t, os.WriteFile(filepath.Join(folder, contractName), []byte("[]\n"), 0o600))
		}},
		{"cut", contractName, contract("1.5\n}\n", "1.5\n}")},
	} {
		t.Run(test.name, func(t *testing.T) {
			folder := models.Copy(t, "model")
			test.damage(t, folder)
			_, err := Load(folder, nil)
			var refused *Refused
			if !errors.As(err, &refused) || refused.Code != CodeDamaged || refused.Name != test.file {
				t.Fatalf("got %v: expected that %s is damaged", err, test.file)
			}
			if !strings.Contains(err.Error(), test.file) {
				t.Errorf("%q does not name the file", err)
			}
		})
	}
}

// Bad contracts are refused before any file is opened, with the code that Python gives.
func TestRefusedContracts(t *testing.T) {
	for name, test := range map[string]struct{ code, old, new, said string }{
		"later":    {CodeUnsupported, `"format": 3`, `"format": 4`, "format is 4: expected 2 or 3"},
		"another":  {CodeUnsupported, `"version": 1`, `"version": 2`, "preprocessing: version is \"2\""},
		"huge":     {CodeInvalid, `"image_size": 16`, `"image_size": 1000000000`, "from 16 to 1024"},
		"text":     {CodeInvalid, `"image_size": 16`, `"image_size": "16"`, `image_size is "16"`},
		"negative": {CodeInvalid, `"threshold": 0.15`, `"threshold": -0.15`, "conformal: threshold"},
		"twice":    {CodeInvalid, `"e",`, `"f",`, "every label once"},
		"more":     {CodeInvalid, `"novelty"`, "\"more\": 1,\n  \"novelty\"", "no entry of that name"},
	} {
		folder := models.Copy(t, "model")
		replace(t, filepath.Join(folder, contractName), test.old, test.new)
		_, err := Load(folder, nil)
		var refused *Refused
		if !errors.As(err, &refused) || refused.Code != test.code ||
			!strings.Contains(err.Error(), test.said) {
			t.Errorf("%s: got %v: expected %s that says %s", name, err, test.code, test.said)
		}
	}
}

// sameButBytes compares public contracts without the size of the files, which the format is in.
func sameButBytes(t *testing.T, texts ...[]byte) bool {
	t.Helper()
	var first, second map[string]any
	must(t, json.Unmarshal(texts[0], &first))
	must(t, json.Unmarshal(texts[1], &second))
	delete(first, "bytes")
	delete(second, "bytes")
	return reflect.DeepEqual(first, second)
}

// What is looked for may begin in one piece of the file and end in the next.
func TestFileContains(t *testing.T) {
	folder := t.TempDir()
	content := bytes.Repeat([]byte("ab"), 1<<20)
	copy(content[1<<20-1:], "needle")
	must(t, os.WriteFile(filepath.Join(folder, "file"), content, 0o600))
	for wanted, expected := range map[string]bool{"needle": true, "needles": false, "ba": true} {
		if found, err := fileContains(folder, "file", []byte(wanted)); err != nil || found != expected {
			t.Errorf("%s: %v, %v: expected %v", wanted, found, err, expected)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// flip returns what changes one bit in the middle of a file.
func flip(name string) func(*testing.T, string) {
	return func(t *testing.T, folder string) {
		path := filepath.Join(folder, name)
		content, err := os.ReadFile(path)
		must(t, err)
		content[len(content)/2] ^= 1
		must(t, os.WriteFile(path, content, 0o600))
	}
}

func replace(t *testing.T, path, old, new string) {
	t.Helper()
	content, err := os.ReadFile(path)
	must(t, err)
	if !bytes.Contains(content, []byte(old)) {
		t.Fatalf("%s does not hold %s", path, old)
	}
	must(t, os.WriteFile(path, bytes.Replace(content, []byte(old), []byte(new), 1), 0o600))
}
